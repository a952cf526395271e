import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Images, Level, Prediction } from "../../plugin.ts";
import ddpm from "../../samplers/ddpm.ts";
import { posterior } from "../../schedules/mod.ts";
import { testSampler } from "../laws.ts";
import { alone, choose, closedForm, distance, drawn } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";
import { affine, chainMoments, cleanLine, gaussian, type Normal, stepsOf } from "./_moments.ts";
import { assertSameRun, casesOf } from "./_openai.ts";
import { testTrajectories } from "./_trajectories.ts";

// Its larger variance, and with it a learned one, is another one at another scale.
testSampler(ddpm, {
  scaleFree: false,
  settings: [{ variance: "small" }, { variance: "large" }],
});

testTrajectories(ddpm, {
  diffusers: {
    ddpm_fixed_small_clip: {},
    ddpm_fixed_large_noclip: { variance: "large" },
    ddpm_learned_range_noclip: {},
    ddpm_trailing_v: {},
  },
});

for (const name of casesOf("p")) {
  Deno.test(`ddpm() makes the steps of guided-diffusion: ${name}`, async () => {
    await assertSameRun(name, ddpm, { variance: name.includes("large") ? "large" : "model" });
  });
}

const VARIANCES = ["small", "large"] as const;
const images = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);

/** One step from x = 1, 1, … with a noise of 1, 2, …. */
async function step(
  prediction: Partial<Prediction>,
  [from, to]: readonly [Level, Level],
  variance: "model" | "small" | "large" = "model",
): Promise<number[]> {
  const zeros = images(0, 0, 0);
  const { x } = await ddpm.step({
    ...alone(from, to),
    x: images(1, 1, 1),
    predict: () => Promise.resolve({ x0: zeros, eps: zeros, ...prediction }),
    noise: () => images(1, 2, 3),
    options: { variance },
  }, undefined);
  return [...x.dataSync()];
}
const FROM = { t: 500, alpha: 0.6, sigma: 0.8 };
const TO = { t: 400, alpha: 0.8, sigma: 0.6 };

Deno.test("ddpm() draws from the posterior of the forward process", async () => {
  const { x, x0, variance, beta } = posterior(FROM, TO);
  const clean = images(0.5, -1, 2);
  for (const [choice, spread] of [["small", variance], ["large", beta]] as const) {
    const expected = [0.5, -1, 2].map((value, i) => x + x0 * value + Math.sqrt(spread) * (i + 1));
    assert(distance(await step({ x0: clean }, [FROM, TO], choice), expected) < 1e-6);
  }
});

Deno.test("ddpm() has the exact moments of its chain on Gaussian data", async () => {
  const path = linearPath(20);
  for (const data of [{ mean: 0.5, variance: 0.09 }, { mean: -0.8, variance: 0.5 }]) {
    for (const variance of VARIANCES) {
      let now: Normal = { mean: 0, variance: 1 };
      const expected = stepsOf(path).map(({ from, to }) => {
        const { slope, offset } = cleanLine(data, from);
        const { x, x0, variance: small, beta } = posterior(from, to);
        const noise = to.sigma === 0 ? 0 : variance === "small" ? small : beta;
        return now = affine(now, x + x0 * slope, x0 * offset, noise);
      });
      const { moments, draws } = await chainMoments(ddpm, { variance }, path, data);
      assert(distance(moments.map(({ mean }) => mean), expected.map(({ mean }) => mean)) < 1e-5);
      const [ours, theirs] = [moments, expected].map((list) => list.map((it) => it.variance));
      assert(distance(ours ?? [], theirs ?? []) < 1e-5);
      assertEquals(draws, 20); // the start and all steps but the last
    }
  }
});

Deno.test("ddpm() comes to the moments of the data where steps are many", async () => {
  const data = { mean: 0.5, variance: 0.09 };
  for (const variance of VARIANCES) {
    const errors: number[] = [];
    for (const steps of [20, 200]) {
      const { moments } = await chainMoments(ddpm, { variance }, linearPath(steps), data);
      const { mean = NaN, variance: spread = NaN } = moments.at(-1) ?? {};
      assertAlmostEquals(mean, data.mean, 2e-3);
      errors.push(Math.abs(spread / data.variance - 1));
    }
    const [few = NaN, many = NaN] = errors;
    assert(many < 0.12 && many < few / 3, `${variance}: ${few} then ${many}`);
  }
});

Deno.test("ddpm() draws images with the moments of its chain", async () => {
  const [data, path, count] = [{ mean: 0.5, variance: 0.09 }, linearPath(10), 2000];
  const { moments } = await chainMoments(ddpm, {}, path, data);
  const { mean = NaN, variance = NaN } = moments.at(-1) ?? {};
  const values = await drawn({
    sampler: choose(ddpm),
    path,
    predict: closedForm({ mixture: gaussian(data) }).predict,
    noise: noiseOf(count, [1, 1, 1]),
  });
  const average = values.reduce((sum, value) => sum + value, 0) / count;
  const spread = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / count;
  assertAlmostEquals(average, mean, 4 * Math.sqrt(variance / count));
  assertAlmostEquals(spread, variance, 4 * variance * Math.sqrt(2 / count));
});

Deno.test("ddpm() with large variance is exact for unit Gaussians, with small for a point", async () => {
  // The two optimal choices of the paper, section 3.2.
  const path = linearPath(10).slice(0, -1);
  const unit = await chainMoments(ddpm, { variance: "large" }, path, { mean: 0, variance: 1 });
  for (const { mean, variance } of unit.moments) {
    assertAlmostEquals(mean, 0, 1e-6);
    assertAlmostEquals(variance, 1, 1e-5);
  }
  const point = { mean: 0.4, variance: 0 };
  const { moments } = await chainMoments(ddpm, { variance: "small" }, path, point);
  for (const [i, { mean, variance }] of moments.entries()) {
    const { alpha = NaN, sigma = NaN } = path[i + 1] ?? {};
    const start = (path[0]?.alpha ?? NaN) ** 2; // what the start, pure noise, has too much
    assertAlmostEquals(mean, alpha * 0.4, 0.02);
    assertAlmostEquals(variance, sigma ** 2, 2 * start);
  }
});

Deno.test("ddpm() takes a learned variance of 0 for small and of 1 for large", async () => {
  const path = linearPath(5);
  const data = { mean: 0.5, variance: 0.09 };
  for (const [raw, variance] of [[-1, "small"], [1, "large"]] as const) {
    const learned = await chainMoments(ddpm, {}, path, data, { variance: [raw] });
    const fixed = await chainMoments(ddpm, { variance }, path, data, { variance: [0.3] });
    const [ours, theirs] = [learned, fixed].map(({ moments }) => moments.map((it) => it.variance));
    assert(distance(ours ?? [], theirs ?? []) < 1e-6);
  }
});

Deno.test("ddpm() mixes a learned variance by pixel and in logarithms", async () => {
  const { x, variance, beta } = posterior(FROM, TO);
  const mix = [0, 0.25, 1];
  const values = await step({ mix: images(...mix) }, [FROM, TO]);
  const expected = mix.map((share, i) =>
    x + Math.sqrt(variance ** (1 - share) * beta ** share) * (i + 1)
  );
  assert(distance(values, expected) < 1e-6);
});

Deno.test("ddpm() adds a shift times its variance", async () => {
  const { variance, beta } = posterior(FROM, TO);
  const shift = images(1, -2, 0.5);
  const mix = images(0, 1, 0.5);
  const spreads = {
    small: [variance, variance, variance],
    large: [beta, beta, beta],
    model: [variance, beta, Math.sqrt(variance * beta)],
  };
  for (const [choice, spread] of Object.entries(spreads)) {
    const variance = choice as keyof typeof spreads;
    const plain = await step({ mix }, [FROM, TO], variance);
    const shifted = await step({ mix, shift }, [FROM, TO], variance);
    const moved = shifted.map((value, i) => value - (plain[i] ?? NaN));
    const expected = [1, -2, 0.5].map((value, i) => value * (spread[i] ?? NaN));
    assert(distance(moved, expected) < 1e-6, choice);
  }
});

Deno.test("ddpm() draws nothing at the end and does nothing between equal levels", async () => {
  const never = () => {
    throw new Error("it drew noise");
  };
  const x = images(1, -2, 3);
  const [x0, mix] = [images(0.5, 0, -0.5), images(0.1, 0.5, 0.9)];
  const predict = () => Promise.resolve({ x0, eps: x0, mix });
  const to = async (level: Level) => {
    const input = { ...alone(FROM, level), x, predict, noise: never };
    const next = await ddpm.step({ ...input, options: { variance: "model" } }, undefined);
    return [...next.x.dataSync()];
  };
  assert(distance(await to({ t: -1, alpha: 1, sigma: 0 }), x0.dataSync()) < 1e-6);
  assert(distance(await to(FROM), x.dataSync()) < 1e-6);
});

Deno.test("ddpm() starts from levels where nothing of the image is left", async () => {
  const mix = images(0, 0.5, 1);
  const values = await step({ x0: images(1, 2, -1), mix }, [{ t: 999, alpha: 0, sigma: 1 }, TO]);
  assert(distance(values, [0.8 + 0.6, 1.6 + 2 * Math.sqrt(0.6), -0.8 + 3]) < 1e-6);
});
