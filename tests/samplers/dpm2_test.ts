import dpm2 from "../../samplers/dpm2.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(dpm2, { settings: [{ s_churn: 3 }] });
testOrder(dpm2, 2);
testTrajectories(dpm2, {
  diffusers: { kdpm2: {} },
  kDiffusion: {
    dpm_2_karras: {},
    dpm_2_churn: { s_churn: 3, s_tmin: 0.05, s_tmax: 8, s_noise: 1.003 },
  },
});
