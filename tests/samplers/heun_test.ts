import { assertEquals } from "@std/assert";
import heun from "../../samplers/heun.ts";
import { testSampler } from "../laws.ts";
import { callsOf, testOrder } from "./_convergence.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(heun, { settings: [{ s_churn: 3 }] });
testOrder(heun, 2);
testTrajectories(heun, {
  diffusers: { heun_linspace: {}, heun_leading1_karras: {} },
  kDiffusion: {
    heun_karras: {},
    heun_exponential: {},
    heun_churn: { s_churn: 3, s_tmin: 0.05, s_tmax: 8, s_noise: 1.003 },
    heun_churn_all: { s_churn: 8 },
  },
});

Deno.test("heun() calls the network twice a step, and once where no noise is left", async () => {
  assertEquals(await callsOf(heun, {}, 10), { noisy: 20, clean: 21 });
});
