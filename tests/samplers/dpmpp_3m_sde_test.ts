import dpmpp2m from "../../samplers/dpmpp_2m.ts";
import dpmpp3mSde from "../../samplers/dpmpp_3m_sde.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(dpmpp3mSde, { settings: [{ eta: 0 }, { lower_order_final: true }] });
testOrder(dpmpp3mSde, 2, { eta: 0 });
testTrajectories(dpmpp3mSde, {
  kDiffusion: { dpmpp_3m_sde: {}, "dpmpp_3m_sde_eta0.4": { eta: 0.4, s_noise: 1.05 } },
});

Deno.test("dpmpp_3m_sde() is dpmpp_2m() of order 3 at eta 0", async () => {
  for (const lower_order_final of [true, false]) {
    const form = { order: 3, solver: "heun", lower_order_final };
    await assertSame([dpmpp3mSde, { eta: 0, lower_order_final }], [dpmpp2m, form]);
  }
});
