import threshold from "../../guidance/threshold.ts";
import { testGuidance } from "../laws.ts";

testGuidance(threshold, { settings: [{ percentile: 0.5 }, { max: 1 }, { percentile: 1 }] });
