import { assert } from "@std/assert";
import * as tf from "tfjs";
import type { Images } from "../../plugin.ts";
import lcm from "../../samplers/lcm.ts";
import { testSampler } from "../laws.ts";
import { alone, distance } from "../pipeline/_closed_form.ts";
import { testTrajectories } from "./_trajectories.ts";

// Its weights are made for t from 0 to 1000, which variance-exploding levels do not have.
testSampler(lcm, { families: ["vp", "flow"], settings: [{ timestep_scaling: 5, sigma_data: 1 }] });
testTrajectories(lcm, {
  diffusers: { lcm_4: {}, lcm_1: {}, lcm_4_alpha: {}, lcm_8: { timestep_scaling: 8 } },
});

Deno.test("lcm() answers x itself at t = 0 (equation 9)", async () => {
  const [x, x0] = [tf.tensor4d([1, -2], [1, 1, 2, 1]), tf.tensor4d([9, 9], [1, 1, 2, 1])];
  const from = { t: 0, alpha: 0.99, sigma: Math.sqrt(1 - 0.99 ** 2) };
  const next = await lcm.step({
    ...alone(from, { t: -1, alpha: 1, sigma: 0 }),
    x,
    predict: () => Promise.resolve({ x0, eps: x0 }),
    noise: (): Images => {
      throw new Error("it drew noise");
    },
    options: { sigma_data: 0.5, timestep_scaling: 10 },
  }, undefined);
  assert(distance(next.x.dataSync(), x.dataSync()) < 1e-6);
});
