import dpmpp2sAncestral from "../../samplers/dpmpp_2s_ancestral.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(dpmpp2sAncestral, { settings: [{ eta: 0 }, { eta: 1.5, s_noise: 0.9 }] });
testOrder(dpmpp2sAncestral, 2, { eta: 0 });
testTrajectories(dpmpp2sAncestral, {
  kDiffusion: {
    dpmpp_2s_ancestral: {},
    "dpmpp_2s_ancestral_eta0.5": { eta: 0.5, s_noise: 0.8 },
  },
});
