import { assertEquals } from "@std/assert";
import plms from "../../samplers/plms.ts";
import pndm from "../../samplers/pndm.ts";
import { testSampler } from "../laws.ts";
import { linearPath } from "../pipeline/_closed_form.ts";
import { callsOf, testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(pndm);
testOrder(pndm, 2);
testOrder(pndm, 1, { slopes: "velocity" }); // v turns with t, so that its sums are of no one level
testTrajectories(pndm, {
  diffusers: { pndm_prk: {}, pndm_prk_20steps: {}, pndm_prk_v: { slopes: "velocity" } },
});

Deno.test("pndm() calls the network four times in each of its first three steps", async () => {
  assertEquals(await callsOf(pndm, {}, 10), { noisy: 19, clean: 20 });
});

Deno.test("pndm() is plms() where a path is too short for its start", async () => {
  for (const steps of [1, 2, 3]) {
    await assertSame([pndm, {}], [plms, {}], { paths: [linearPath(steps, "leading")] });
  }
});
