import { assertEquals } from "@std/assert";
import dpmpp2sAncestral from "../../samplers/dpmpp_2s_ancestral.ts";
import dpmppSde from "../../samplers/dpmpp_sde.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame, draws } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(dpmppSde, { settings: [{ eta: 0 }, { r: 0.3 }, { r: 1 }] });
testOrder(dpmppSde, 2, { eta: 0 });
testOrder(dpmppSde, 2, { eta: 0, r: 0.3 });
testTrajectories(dpmppSde, {
  kDiffusion: {
    dpmpp_sde: {},
    "dpmpp_sde_eta0.5": { eta: 0.5 },
    "dpmpp_sde_r0.3": { eta: 0.8, s_noise: 0.9, r: 0.3 },
  },
});

Deno.test("dpmpp_sde() is dpmpp_2s_ancestral() where neither adds noise", async () => {
  await assertSame([dpmppSde, { eta: 0 }], [dpmpp2sAncestral, { eta: 0 }]);
});

Deno.test("dpmpp_sde() draws twice a step, but not for the clean image", async () => {
  assertEquals(await draws(dpmppSde, {}, 6), 10);
  assertEquals(await draws(dpmppSde, { eta: 0 }, 6), 0);
});
