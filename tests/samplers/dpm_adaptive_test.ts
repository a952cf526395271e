import dpmAdaptive from "../../samplers/dpm_adaptive.ts";
import { testSampler } from "../laws.ts";

// The worst image of a batch decides the levels, so others differ by less than is allowed.
testSampler(dpmAdaptive, { settings: [{ order: 2 }, { rtol: 1e-3, atol: 1e-4 }], tolerance: 1e-2 });
