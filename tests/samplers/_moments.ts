/**
 * The exact distribution that a sampler draws from where the model is linear in x, as it is for
 * Gaussian data: every image is then a weighted sum of its draws.
 *
 * @module
 */
import type { Level, Sampler } from "../../plugin.ts";
import { run } from "../../pipeline/run.ts";
import { choose, closedForm, givenNoise } from "../pipeline/_closed_form.ts";

/** A normal distribution of one value. */
export interface Normal {
  readonly mean: number;
  readonly variance: number;
}

/** Gaussian data of one value. */
export const gaussian = ({ mean, variance }: Normal) => ({
  weights: [1],
  means: [[mean]],
  deviations: [[Math.sqrt(variance)]],
});

/**
 * The distribution of x at every level of a path, without any chance: of a batch the first image is
 * all zeros, the k-th is 1 at the k-th draw alone and so shows what that draw weighs.
 *
 * @param model What the network answers for the variance, where it has learned one.
 */
export async function chainMoments(
  sampler: Sampler,
  options: Readonly<Record<string, string | number | boolean>>,
  path: readonly Level[],
  data: Normal,
  model: { readonly variance?: readonly number[] } = {},
): Promise<{ moments: Normal[]; draws: number }> {
  const batch = path.length + 1;
  const noise = givenNoise(
    [batch, 1, 1, 1],
    Array.from(path, (_, k) => Array.from({ length: batch }, (_, i) => i === k + 1 ? 1 : 0)),
  );
  const moments: Normal[] = [];
  const { predict } = closedForm({ mixture: gaussian(data), ...model });
  const x = await run({
    sampler: choose(sampler, options),
    path,
    noise,
    predict,
    onStep({ x }) {
      const [mean = NaN, ...rest] = x.dataSync();
      const variance = rest.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      moments.push({ mean, variance });
    },
  });
  x.dispose();
  return { moments, draws: noise.drawn() };
}

/** The moments after an affine step `x' = a x + b + noise`. */
export function affine({ mean, variance }: Normal, a: number, b: number, noise: number): Normal {
  return { mean: a * mean + b, variance: a ** 2 * variance + noise };
}

/** E[x0 | x] of Gaussian data as `slope * x + offset`. */
export function cleanLine({ mean, variance }: Normal, { alpha, sigma }: Level) {
  const slope = alpha * variance / (alpha ** 2 * variance + sigma ** 2);
  return { slope, offset: mean * (1 - slope * alpha) };
}

/** Levels of a path as pairs. */
export function stepsOf(path: readonly Level[]): { from: Level; to: Level }[] {
  return path.slice(1).map((to, i) => ({ from: path[i] ?? to, to }));
}
