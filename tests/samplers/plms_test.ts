import { assertEquals } from "@std/assert";
import plms from "../../samplers/plms.ts";
import { testSampler } from "../laws.ts";
import { callsOf, testOrder } from "./_convergence.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(plms);
testOrder(plms, 2);
testOrder(plms, 1, { slopes: "velocity" }); // v turns with t, so that its sums are of no one level
testTrajectories(plms, {
  diffusers: { pndm_plms: {}, pndm_plms_20steps: {}, pndm_plms_v: { slopes: "velocity" } },
});

Deno.test("plms() calls the network twice in its first step alone", async () => {
  assertEquals(await callsOf(plms, {}, 10), { noisy: 11, clean: 12 });
});
