import ddim from "../../samplers/ddim.ts";
import dpmpp2m from "../../samplers/dpmpp_2m.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

const noise = { algorithm: "dpmsolver" } as const;

testSampler(dpmpp2m, {
  settings: [{ order: 1 }, { order: 3, lower_order_final: false }, noise, { ...noise, order: 3 }],
});
testOrder(dpmpp2m, 1, { order: 1 });
testOrder(dpmpp2m, 2);
testOrder(dpmpp2m, 2, { solver: "heun" });
testOrder(dpmpp2m, 2, noise);
testOrder(dpmpp2m, 2, { ...noise, order: 3 }); // its weight of the bend is half of the exact one
testTrajectories(dpmpp2m, {
  diffusers: {
    dpmpp_1: { order: 1 },
    dpmpp_2m_linspace: {},
    dpmpp_2m_leading1: {},
    dpmpp_2m_karras: {},
    dpmpp_2m_exponential: {},
    dpmpp_2m_v: {},
    dpmpp_2m_zero_snr_v: {},
    dpmpp_2m_2steps: {},
    dpmpp_2m_20steps: {},
    dpmpp_2m_sigma_min: {},
    dpmpp_2m_sigma_min_14steps: {},
    dpmpp_2m_sigma_min_15steps: {},
    dpmpp_2m_sigma_min_20steps: {},
    dpmpp_2m_euler_at_final: { euler_at_final: true },
    dpmpp_2m_heun_trailing: { solver: "heun" },
    dpmpp_3m: { order: 3 },
    dpmpp_3m_karras: { order: 3 },
    dpmpp_3m_20steps: { order: 3 },
    dpmpp_3m_no_lower: { order: 3, lower_order_final: false },
    dpm_2m: noise,
    dpm_2m_heun: { ...noise, solver: "heun" },
    dpm_3m: { ...noise, order: 3 },
  },
  kDiffusion: { dpmpp_2m_karras: {}, dpmpp_2m_polyexponential: {} },
});

Deno.test("dpmpp_2m() of order 1 is ddim(), by x0 and by eps", async () => {
  await assertSame([dpmpp2m, { order: 1 }], [ddim, {}]);
  await assertSame([dpmpp2m, { order: 1, ...noise }], [ddim, {}]);
});
