import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import { run } from "../../pipeline/run.ts";
import type { Level } from "../../plugin.ts";
import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import { alphasCumprod, CLEAN, cosine, path } from "../../schedules/mod.ts";
import { testSampler } from "../laws.ts";
import { choose, closedForm, distance, drawn } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";
import { affine, chainMoments, cleanLine, gaussian, type Normal, stepsOf } from "./_moments.ts";
import { testOrder } from "./_convergence.ts";
import { assertSameRun, casesOf } from "./_openai.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(ddim, { settings: [{ eta: 0.5 }, { eta: 1 }] });

testOrder(ddim, 1);
testTrajectories(ddim, {
  diffusers: {
    ddim_eta0_leading1: {},
    ddim_eta1_clip: { eta: 1 },
    "ddim_eta0.5_linspace": { eta: 0.5 },
    "ddim_sample_eta0.3": { eta: 0.3 },
    ddim_zero_snr_v_trailing: {},
  },
});

for (const name of [...casesOf("ddim"), ...casesOf("reverse")]) {
  Deno.test(`ddim() makes the steps of guided-diffusion: ${name}`, async () => {
    await assertSameRun(name, ddim, { eta: Number(name.match(/eta([\d.]+)/)?.[1] ?? 0) });
  });
}

const flow: Level[] = [1, 0.8, 0.5, 0.3, 0.1, 0].map((sigma) => ({
  t: 1000 * sigma,
  alpha: 1 - sigma,
  sigma,
}));
const exploding: Level[] = [20, 5, 1, 0.2, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }));
const cosines = path({ alphasCumprod: alphasCumprod(cosine(1000)), spacing: "leading", steps: 10 });

Deno.test("ddim() equals ddpm() at eta 1", async () => {
  const mixture = {
    weights: [0.3, 0.7],
    means: [[0.8, -0.5], [-0.6, 0.2]],
    deviations: [[0.2, 0.4], [0.3, 0.1]],
  };
  for (const path of [linearPath(10), linearPath(7, "linspace"), cosines, flow, exploding]) {
    const [ours, theirs] = [choose(ddim, { eta: 1 }), choose(ddpm, { variance: "small" })];
    const images: Float32Array[] = [];
    for (const sampler of [ours, theirs]) {
      const { predict } = closedForm({ mixture });
      images.push(await drawn({ sampler, path, predict, noise: noiseOf(3, [1, 1, 2]) }));
    }
    const apart = distance(images[0] ?? [], images[1] ?? []);
    assert(apart < 5e-6, `off by ${apart} on a path from t = ${path[0]?.t}`);
  }
});

Deno.test("ddim() makes the steps of equations 12 and 16 on Gaussian data", async () => {
  const data = { mean: 0.5, variance: 0.09 };
  const steps = linearPath(20);
  for (const eta of [0, 0.5, 1]) {
    let now: Normal = { mean: 0, variance: 1 };
    const expected = stepsOf(steps).map(({ from, to }) => {
      const { slope, offset } = cleanLine(data, from);
      const [before, after] = [from.alpha ** 2, to.alpha ** 2]; // their alpha_t and alpha_t-1
      const sigma = eta * Math.sqrt((1 - after) / (1 - before)) * Math.sqrt(1 - before / after);
      const direction = Math.sqrt(1 - after - sigma ** 2) / Math.sqrt(1 - before);
      const kept = Math.sqrt(after) - direction * Math.sqrt(before); // what x0 weighs
      return now = affine(now, kept * slope + direction, kept * offset, sigma ** 2);
    });
    const { moments, draws } = await chainMoments(ddim, { eta }, steps, data);
    for (const [i, { mean, variance }] of expected.entries()) {
      assertAlmostEquals(moments[i]?.mean ?? NaN, mean, 1e-5);
      assertAlmostEquals(moments[i]?.variance ?? NaN, variance, 1e-5);
    }
    assertEquals(draws, eta === 0 ? 1 : 20); // the start, and steps with noise but the last
  }
});

Deno.test("ddim() keeps the marginals of the forward process for every eta", async () => {
  for (const eta of [0, 0.3, 1]) {
    const levels = [{ t: 9, alpha: 0, sigma: 1 }, ...linearPath(6).slice(0, -1)];
    const point = { mean: 0.7, variance: 0 };
    const { moments } = await chainMoments(ddim, { eta }, levels, point);
    for (const [i, { mean, variance }] of moments.entries()) {
      const { alpha = NaN, sigma = NaN } = levels[i + 1] ?? {};
      assertAlmostEquals(mean, 0.7 * alpha, 1e-5);
      assertAlmostEquals(variance, sigma ** 2, 1e-5);
    }
  }
});

Deno.test("ddim() draws images with the moments of the data", async () => {
  const [data, count] = [{ mean: 0.5, variance: 0.09 }, 2000];
  const values = await drawn({
    sampler: choose(ddim),
    path: linearPath(50),
    predict: closedForm({ mixture: gaussian(data) }).predict,
    noise: noiseOf(count, [1, 1, 1]),
  });
  const average = values.reduce((sum, value) => sum + value, 0) / count;
  const spread = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / count;
  assertAlmostEquals(average, data.mean, 4 * Math.sqrt(data.variance / count) + 2e-3);
  assertAlmostEquals(spread, data.variance, (4 * Math.sqrt(2 / count) + 0.04) * data.variance);
});

Deno.test("ddim() encodes an image, from clean or from noisy, and decodes it again", async () => {
  const { predict } = closedForm({ mixture: gaussian({ mean: 0.5, variance: 0.09 }) });
  const start = tf.tensor4d([0.9, 0.2], [2, 1, 1, 1]);
  for (const last of [[CLEAN], []]) {
    const down = [...linearPath(500).slice(0, -1), ...last];
    const common = { sampler: choose(ddim), predict, noise: noiseOf(2, [1, 1, 1]) };
    const code = await run({ ...common, path: down.toReversed(), start });
    const again = await drawn({ ...common, path: down, start: code });
    // The flow keeps an image at its number of standard deviations from the mean.
    assert(distance(code.dataSync(), [0.4 / 0.3, -0.3 / 0.3]) < 0.05);
    assert(distance(again, [0.9, 0.2]) < 0.01);
    code.dispose();
  }
  start.dispose();
});

Deno.test("ddim() refuses to climb with noise", async () => {
  const { predict } = closedForm({ mixture: gaussian({ mean: 0.5, variance: 0.09 }) });
  const path = linearPath(5).slice(0, -1).toReversed();
  const input = {
    sampler: choose(ddim, { eta: 0.5 }),
    path,
    predict,
    noise: noiseOf(2, [1, 1, 1]),
  };
  await assertRejects(() => run(input), RangeError, "it can climb to more noise with eta=0 only");
});

Deno.test("ddim() takes levels for one that differ by rounding alone", async () => {
  const { predict } = closedForm({ mixture: gaussian({ mean: 0.5, variance: 0.09 }) });
  const [first, ...rest] = linearPath(5);
  const level = { t: 999, alpha: 0.6, sigma: 0.8 };
  const path = [first ?? level, level, { ...level, sigma: level.sigma + 1e-13 }, ...rest.slice(3)];
  await drawn({ sampler: choose(ddim, { eta: 1 }), path, predict, noise: noiseOf(2, [1, 1, 1]) });
});
