import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { Level } from "../../plugin.ts";
import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import { alphasCumprod, cosine, path } from "../../schedules/mod.ts";
import { testSampler } from "../laws.ts";
import { choose, closedForm, distance, drawn } from "../pipeline/_closed_form.ts";
import { givenNoise, linearPath, noiseOf } from "../pipeline/_closed_form.ts";
import { affine, chainMoments, cleanLine, gaussian, type Normal, stepsOf } from "./_moments.ts";
import { assertSameRun, casesOf } from "./_openai.ts";

testSampler(ddim, { settings: [{ eta: 0.5 }, { eta: 1 }] });

for (const name of casesOf("ddim")) {
  Deno.test(`ddim() makes the steps of guided-diffusion: ${name}`, async () => {
    await assertSameRun(name, ddim, { eta: Number(name.match(/eta([\d.]+)/)?.[1]) });
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

Deno.test("ddim() converges to the exact flow with order 1", async () => {
  const data = { mean: 0.5, variance: 0.09 };
  const turn = 1.5; // radians: alpha is a cosine, sigma a sine
  const start = [-1.2, 0.3, 2];
  // The flow of Gaussian data keeps an image at its number of standard deviations from the mean.
  const [alpha, sigma] = [Math.cos(turn), Math.sin(turn)];
  const exact = start.map((x) =>
    data.mean + 0.3 * (x - alpha * data.mean) / Math.hypot(0.3 * alpha, sigma)
  );
  const errors: number[] = [];
  for (const steps of [10, 20, 40, 80]) {
    const levels = Array.from({ length: steps + 1 }, (_, i) => {
      const angle = turn * (1 - i / steps);
      return { t: angle, alpha: Math.cos(angle), sigma: i === steps ? 0 : Math.sin(angle) };
    });
    const { predict } = closedForm({ mixture: gaussian(data) });
    const noise = givenNoise([3, 1, 1, 1], [start]);
    errors.push(
      distance(await drawn({ sampler: choose(ddim), path: levels, predict, noise }), exact),
    );
  }
  for (const [i, error] of errors.slice(1).entries()) {
    const order = Math.log2((errors[i] ?? NaN) / error);
    assert(Math.abs(order - 1) < 0.1, `the order is ${order}`);
  }
});
