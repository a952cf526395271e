import ddpm from "../../samplers/ddpm.ts";
import dpmpp2m from "../../samplers/dpmpp_2m.ts";
import dpmpp2mSde from "../../samplers/dpmpp_2m_sde.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

const noise = { algorithm: "dpmsolver" } as const;

// Going by the noise, a few steps of the diffusion leave the range of images by their nature.
testSampler(dpmpp2mSde, { settings: [{ eta: 0 }, { eta: 0.5, solver: "heun" }] });
testOrder(dpmpp2mSde, 2, { eta: 0 });
testTrajectories(dpmpp2mSde, {
  diffusers: {
    dpmpp_2m_sde: {},
    dpmpp_2m_sde_karras: {},
    dpmpp_2m_sde_heun: { solver: "heun" },
    dpm_2m_sde: noise,
    dpm_2m_sde_heun: { ...noise, solver: "heun" },
  },
  kDiffusion: {
    dpmpp_2m_sde_midpoint: {},
    dpmpp_2m_sde_heun: { solver: "heun", eta: 0.7 },
    "dpmpp_2m_sde_eta0.3": { eta: 0.3, s_noise: 0.9 },
    dpmpp_2m_sde_eta0: { eta: 0, solver: "heun" },
  },
});

Deno.test("dpmpp_2m_sde() is dpmpp_2m() at eta 0, and ddpm() with small variance at order 1", async () => {
  await assertSame([dpmpp2mSde, { eta: 0 }], [dpmpp2m, {}]);
  await assertSame([dpmpp2mSde, { eta: 0, ...noise }], [dpmpp2m, noise]);
  await assertSame([dpmpp2mSde, { order: 1 }], [ddpm, { variance: "small" }]);
});
