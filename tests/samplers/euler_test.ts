import { assertEquals } from "@std/assert";
import ddim from "../../samplers/ddim.ts";
import euler from "../../samplers/euler.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame, draws } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

const churned = { s_churn: 3, s_tmin: 0.05, s_tmax: 8, s_noise: 1.003 };

testSampler(euler, { settings: [{ s_churn: 3 }] });
testOrder(euler, 1);
testTrajectories(euler, {
  diffusers: {
    euler_linspace: {},
    euler_leading1: {},
    euler_trailing_v: {},
    euler_karras: {},
    euler_exponential: {},
  },
  kDiffusion: { euler_karras: {}, euler_vp: {}, euler_churn: churned },
});

Deno.test("euler() is ddim() where it adds no noise", async () => {
  await assertSame([euler, {}], [ddim, { eta: 0 }]);
});

Deno.test("euler() draws noise in every step where it churns, and none where it does not", async () => {
  assertEquals(await draws(euler, {}, 6), 0);
  assertEquals(await draws(euler, churned, 6), 6);
});
