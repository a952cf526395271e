import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import euler from "../../samplers/euler.ts";
import eulerAncestral from "../../samplers/euler_ancestral.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(eulerAncestral, { settings: [{ eta: 0 }, { eta: 1.5, s_noise: 0.9 }] });
testOrder(eulerAncestral, 1, { eta: 0 });
testTrajectories(eulerAncestral, {
  diffusers: {
    euler_ancestral_linspace: {},
    euler_ancestral_leading1: {},
    euler_ancestral_v: {},
  },
  kDiffusion: {
    euler_ancestral: {},
    "euler_ancestral_eta0.6": { eta: 0.6, s_noise: 0.9 },
    "euler_ancestral_eta1.5": { eta: 1.5 },
  },
});

Deno.test("euler_ancestral() is ddim() with the same eta, and ddpm() with small variance at 1", async () => {
  for (const eta of [0, 0.4, 1]) await assertSame([eulerAncestral, { eta }], [ddim, { eta }]);
  await assertSame([eulerAncestral, {}], [ddpm, { variance: "small" }]);
  await assertSame([eulerAncestral, { eta: 0 }], [euler, {}]);
});
