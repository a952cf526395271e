import dpm2 from "../../samplers/dpm2.ts";
import dpm2Ancestral from "../../samplers/dpm2_ancestral.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(dpm2Ancestral, { settings: [{ eta: 0 }, { eta: 1.5, s_noise: 0.9 }] });
testOrder(dpm2Ancestral, 2, { eta: 0 });
testTrajectories(dpm2Ancestral, {
  diffusers: { kdpm2_ancestral: {} },
  kDiffusion: { dpm_2_ancestral: {}, "dpm_2_ancestral_eta0.4": { eta: 0.4, s_noise: 1.1 } },
});

Deno.test("dpm2_ancestral() is dpm2() at eta 0", async () => {
  await assertSame([dpm2Ancestral, { eta: 0 }], [dpm2, {}]);
});
