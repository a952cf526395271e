import { assertEquals } from "@std/assert";
import ddim from "../../samplers/ddim.ts";
import tcd from "../../samplers/tcd.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame, draws } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(tcd, { settings: [{ eta: 0 }, { eta: 1 }] });
testOrder(tcd, 1, { eta: 0 });
testTrajectories(tcd, {
  diffusers: { tcd_4: {}, tcd_4_eta0: { eta: 0 }, "tcd_8_eta0.7": { eta: 0.7 } },
});

Deno.test("tcd() is ddim() at eta 0", async () => {
  await assertSame([tcd, { eta: 0 }], [ddim, {}]);
});

Deno.test("tcd() draws noise in every step but the last", async () => {
  assertEquals(await draws(tcd, {}, 6), 5);
  assertEquals(await draws(tcd, { eta: 0 }, 6), 0);
});
