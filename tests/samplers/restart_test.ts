import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Level } from "../../plugin.ts";
import { pathProcess } from "../../pipeline/process.ts";
import { timelineOf } from "../../pipeline/run.ts";
import heun from "../../samplers/heun.ts";
import restart from "../../samplers/restart.ts";
import { testSampler } from "../laws.ts";
import { alone, choose, closedForm, distance, drawn, noiseOf } from "../pipeline/_closed_form.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame, draws } from "./_equal.ts";
import { gaussian } from "./_moments.ts";

testSampler(restart, { settings: [{ t_min: 0.5, t_max: 5, restarts: 3, steps: 2 }] });
testOrder(restart, 2, { restarts: 0 });

const path: Level[] = [10, 3, 1, 0.3, 0.1, 0.03, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }));
const given = { t_min: 0.1, t_max: 1, restarts: 2, steps: 2 };

Deno.test("restart() goes back up from the level next to t_min, as often as asked", () => {
  const levels = timelineOf(choose(restart, given), path, pathProcess(path));
  const sigmas = levels.map(({ sigma }) => sigma);
  const [middle = NaN] = sigmas.slice(6, 7);
  assertEquals(sigmas.slice(0, 5), [10, 3, 1, 0.3, 0.1]);
  assertAlmostEquals(middle, ((1 + 0.1 ** (1 / 7)) / 2) ** 7, 1e-9); // half way in EDM's spacing
  assertEquals(sigmas.slice(5), [1, middle, 0.1, 1, middle, 0.1, 0.03, 0]);
});

Deno.test("restart() never asked to go back is heun()", async () => {
  await assertSame([restart, { restarts: 0 }], [heun, {}]);
  const levels = timelineOf(choose(restart, { t_min: 0.01, t_max: 0.02 }), path.slice(0, 4));
  assertEquals(levels, path.slice(0, 4)); // the path never comes so far down
});

Deno.test("restart() draws noise only to go back up", async () => {
  const setting = { t_min: 1, t_max: 5, restarts: 3 };
  assertEquals(await draws(restart, { ...setting, restarts: 0 }, 6), 0);
  const sampler = choose(restart, setting);
  const noise = noiseOf(1, [1, 1, 2]);
  let drawnTimes = -1; // the start
  const counted = { ...noise, draw: () => (drawnTimes++, noise.draw()) };
  const { predict } = closedForm({ mixture: gaussian({ mean: 0, variance: 1 }) });
  await drawn({ sampler, path: timelineOf(sampler, path), predict, noise: counted });
  assertEquals(drawnTimes, 3);
});

Deno.test("restart() goes up by the noise between both levels, times s_noise", async () => {
  const [low, high] = [{ t: 3, alpha: 0.8, sigma: 0.6 }, { t: 4, alpha: 0.6, sigma: 0.8 }];
  const { x } = await restart.step({
    ...alone(low, high),
    x: tf.tensor4d([1, -1], [1, 1, 2, 1]),
    predict: () => Promise.reject(new Error("it called the network")),
    noise: () => tf.tensor4d([1, 2], [1, 1, 2, 1]),
    options: { ...choose(restart).options, ...given, s_noise: 1.5 },
  }, undefined);
  const std = 0.6 * Math.sqrt((0.8 / 0.6) ** 2 - (0.6 / 0.8) ** 2) * 1.5;
  assert(distance(x.dataSync(), [0.75 + std, -0.75 + 2 * std]) < 1e-6);
});

Deno.test("restart() makes good what few steps got wrong", async () => {
  const data = { mean: 0.5, variance: 0.09 };
  const spread = async (restarts: number) => {
    const sampler = choose(restart, { t_min: 0.1, t_max: 3, restarts, steps: 6 });
    const values = await drawn({
      sampler,
      path: timelineOf(sampler, path, { ...pathProcess(path) }),
      predict: closedForm({ mixture: gaussian(data) }).predict,
      noise: noiseOf(3000, [1, 1, 1]),
    });
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return Math.abs(variance / data.variance - 1);
  };
  const [never, often] = [await spread(0), await spread(4)];
  assert(often < never / 2, `the variance is off by ${never} without, by ${often} with restarts`);
});
