/**
 * What a run will take, without computing it.
 *
 * @module
 */
import * as tf from "tfjs";
import { imageNoise } from "../noise/mod.ts";
import type { Plan } from "../pipeline/plan.ts";
import { run } from "../pipeline/run.ts";

/**
 * How often a batch of a run asks the network: counted on one pixel that stands for the images.
 *
 * @returns undefined where an error of the images decides it.
 */
export async function callsOf({ sampler, levels, process }: Plan): Promise<number | undefined> {
  if (sampler.plugin.calls === Infinity) return undefined;
  let calls = 0;
  const x = await run({
    sampler,
    path: levels,
    process,
    noise: imageNoise("philox", [0], [1, 1, 1]),
    predict(x, at) {
      calls++;
      const x0 = tf.zerosLike(x);
      return Promise.resolve({ x0, eps: at.sigma === 0 ? x0 : tf.div(x, at.sigma) });
    },
  });
  x.dispose();
  return calls;
}
