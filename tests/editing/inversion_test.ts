import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { invert } from "../../editing/inversion.ts";
import { pathProcess } from "../../pipeline/process.ts";
import { run } from "../../pipeline/run.ts";
import ddim from "../../samplers/ddim.ts";
import { choose, closedForm, distance, linearPath, noiseOf } from "../pipeline/_closed_form.ts";

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const CLEAN = Float32Array.of(0.5, -0.2, -0.6, 0.4);

/** How far the images come back from where they were. */
async function error(steps: number, refine: number): Promise<number> {
  const levels = linearPath(steps);
  const { predict } = closedForm({ mixture });
  const x0 = tf.tensor4d(CLEAN, [2, 1, 2, 1]);
  const plan = { levels, process: pathProcess(levels) as never };
  const start = await invert(x0, { plan, predict, refine });
  const noise = noiseOf(2, [1, 2, 1], 0);
  const back = await run({ sampler: choose(ddim), path: levels, predict, noise, start });
  const values = await back.data();
  tf.dispose([x0, start, back]);
  return distance(values as Float32Array, CLEAN);
}

Deno.test("DDIM inversion and back is off by an error of first order in the step", async () => {
  const [few, many] = [await error(50, 0), await error(200, 0)];
  assert(many < 0.35 * few && many < 0.05, `${few}, then ${many}`);
});

Deno.test("refined to the end, DDIM inversion comes back exactly, and leaks nothing", async () => {
  await error(50, 1);
  const before = tf.memory().numTensors;
  assert(await error(50, 40) < 1e-3);
  assert(await error(50, 1) < await error(50, 0));
  assertEquals(tf.memory().numTensors, before);
});
