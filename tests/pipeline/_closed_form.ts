/**
 * Models in closed form: what a perfectly trained network would answer, without one. The clean
 * images are a mixture of Gaussians whose values are independent of each other, so the best guess
 * of the clean image, and with it score, flow and moments, is known exactly at every level.
 *
 * @module
 */
import * as tf from "tfjs";
import { alphasCumprod, linear, path, type Spacing } from "../../schedules/mod.ts";
import { type Conditions, guidedPredict, type Predict } from "../../pipeline/denoiser.ts";
import { pathProcess } from "../../pipeline/process.ts";
import { run } from "../../pipeline/run.ts";
import { type ImageNoise, imageNoise, imageSeeds } from "../../noise/mod.ts";
import type { Guidance, Images, Level, Sampler } from "../../plugin.ts";
import type { Chosen } from "../../plugins/load.ts";
import { checkOptions } from "../../plugins/options.ts";
import type { PredictionType } from "../../training/objective.ts";

tf.enableProdMode(); // silences tfjs' advertisement of its other backends
await tf.setBackend("cpu");

/** The class that stands for no class. */
export const NO_CLASS = 1e6;

/** The distribution of clean images; each component is a class, too. */
export interface Mixture {
  readonly weights: readonly number[];
  /** Of each component by value of the image; a shorter list repeats. */
  readonly means: readonly (readonly number[])[];
  readonly deviations: readonly (readonly number[])[];
}

/** Noisy images of `size` values each. */
export interface Noisy {
  readonly x: ArrayLike<number>;
  readonly size: number;
  readonly at: Level;
  /** The component that each image is of; any other number, or no list, for the whole mixture. */
  readonly labels?: ArrayLike<number> | undefined;
}

const cycle = (list: readonly number[] | undefined, index: number): number =>
  list?.[index % list.length] ?? NaN;

/** E[x0 | x] in doubles. */
export function cleanOf({ weights, means, deviations }: Mixture, noisy: Noisy): Float64Array {
  const { x, size, at: { alpha, sigma }, labels } = noisy;
  const out = new Float64Array(x.length);
  for (let image = 0; image < x.length / size; image++) {
    const label = labels?.[image] ?? -1;
    const ours = weights.map((_, k) => k).filter((k) => !(label in weights) || k === label);
    const logs = ours.map((k) => {
      let log = Math.log(weights[k] ?? NaN);
      for (let d = 0; d < size; d++) {
        const variance = (alpha * cycle(deviations[k], d)) ** 2 + sigma ** 2;
        const distance = (x[image * size + d] ?? NaN) - alpha * cycle(means[k], d);
        log -= 0.5 * (Math.log(variance) + distance ** 2 / variance);
      }
      return log;
    });
    const shares = logs.map((log) => Math.exp(log - Math.max(...logs)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    for (let d = 0; d < size; d++) {
      const value = x[image * size + d] ?? NaN;
      for (const [i, k] of ours.entries()) {
        const [mean, square] = [cycle(means[k], d), cycle(deviations[k], d) ** 2];
        const variance = alpha ** 2 * square + sigma ** 2;
        const clean = mean + alpha * square / variance * (value - alpha * mean);
        out[image * size + d] = (out[image * size + d] ?? NaN) + (shares[i] ?? NaN) / total * clean;
      }
    }
  }
  return out;
}

/** d log p(label | x) / dx in doubles: what a perfect classifier of noisy images has for gradient. */
export function gradientOf(mixture: Mixture, noisy: Noisy): Float64Array {
  const { alpha, sigma } = noisy.at;
  const free = cleanOf(mixture, { ...noisy, labels: undefined });
  const labelled = cleanOf(mixture, noisy);
  return labelled.map((clean, i) => alpha / sigma ** 2 * (clean - (free[i] ?? NaN)));
}

/** One call of a network. */
export interface Call {
  readonly batch: number;
  readonly at: Level;
  readonly t: readonly number[];
  readonly labels?: readonly number[] | undefined;
}

/** What a model in closed form is asked to be. */
export interface ClosedForm {
  readonly mixture: Mixture;
  /** What its network answers; `sample`, which is finite at alpha = 0 too, where absent. */
  readonly type?: PredictionType;
  /** What a second half of its channels answers, by value of the image. */
  readonly variance?: readonly number[];
  readonly conditions?: Conditions;
  readonly guidances?: readonly Chosen<Guidance>[];
  readonly takesShift?: boolean;
  /** False for a model that was trained without a null class. */
  readonly nullClass?: boolean;
  /** Another classifier's gradient than {@linkcode gradientOf}; null for no classifier at all. */
  readonly gradient?: ((noisy: Noisy) => Float64Array) | null;
}

/** Guided predictions of a model in closed form, and a list of the calls of its networks. */
export function closedForm(form: ClosedForm): {
  readonly predict: Predict;
  readonly calls: readonly Call[];
  readonly gradients: readonly Call[];
} {
  const { mixture, type = "sample", variance, conditions = {}, guidances = [] } = form;
  const [calls, gradients]: [Call[], Call[]] = [[], []];
  let at: Level = { t: NaN, alpha: NaN, sigma: NaN };
  const noisyOf = (list: Call[], [x, t, labels]: readonly (tf.Tensor | undefined)[]): Noisy => {
    if (x === undefined || t === undefined) throw new TypeError("A network takes x and t");
    const own = labels && [...labels.dataSync()];
    list.push({ batch: x.shape[0] ?? 0, at, t: [...t.dataSync()], labels: own });
    return { x: x.dataSync(), size: x.size / (x.shape[0] ?? 1), at, labels: own };
  };
  const { gradient = (noisy: Noisy) => gradientOf(mixture, noisy) } = form;
  const predict = guidedPredict(
    {
      model: { name: "mixture", nullClass: form.nullClass === false ? undefined : NO_CLASS },
      parameterization: { type, learned: variance !== undefined },
      network(...inputs) {
        const noisy = noisyOf(calls, inputs);
        const { alpha, sigma } = at;
        const answers = cleanOf(mixture, noisy).map((clean, i) => {
          const eps = ((noisy.x[i] ?? NaN) - alpha * clean) / sigma;
          return type === "sample" ? clean : type === "epsilon" ? eps : alpha * eps - sigma * clean;
        });
        const answer = tf.tensor4d(Float32Array.from(answers), (inputs[0] as Images).shape);
        if (variance === undefined) return Promise.resolve([answer]);
        const spread = Float32Array.from(answers, (_, i) => cycle(variance, i % noisy.size));
        return Promise.resolve([tf.concat([answer, tf.tensor4d(spread, answer.shape)], 3)]);
      },
      gradient: gradient === null ? undefined : (...inputs) => {
        const slope = gradient(noisyOf(gradients, inputs));
        return Promise.resolve([
          tf.tensor4d(Float32Array.from(slope), (inputs[0] as Images).shape),
        ]);
      },
    },
    conditions,
    guidances,
    form.takesShift ?? false,
  );
  return {
    calls,
    gradients,
    predict(x, level, share) {
      at = level;
      return predict(x, level, share);
    },
  };
}

/** A sampler as it is chosen on the command line. */
export function choose(
  sampler: Sampler,
  given: Readonly<Record<string, string | number | boolean>> = {},
): Chosen<Sampler> {
  const options = checkOptions("sampler", sampler.name, sampler.options, given);
  return { source: sampler.name, plugin: sampler, options, from: 0, until: 1 };
}

/** A guidance as it is chosen on the command line, with its interval. */
export function guide(
  guidance: Guidance,
  given: Readonly<Record<string, string | number | boolean>> = {},
  { from = 0, until = 1 } = {},
): Chosen<Guidance> {
  const options = checkOptions("guidance", guidance.name, guidance.options, given);
  return { source: guidance.name, plugin: guidance, options, from, until };
}

/** Where a single step stands that is taken without a run. */
export function alone(from: Level, to: Level) {
  const path = [from, to];
  return { from, to, path, index: 0, process: pathProcess(path) };
}

/** The path of a variance-preserving model with 1000 linear betas. */
export function linearPath(steps: number, spacing: Spacing = "trailing"): Level[] {
  return path({ alphasCumprod: alphasCumprod(linear(1000)), spacing, steps });
}

/** The noise of `count` images from a seed on. */
export function noiseOf(
  count: number,
  shape: readonly [number, number, number],
  seed = 0,
): ImageNoise {
  return imageNoise("philox", imageSeeds(seed, count), shape);
}

/** Noise that was drawn beforehand, given out in order. */
export function givenNoise(
  shape: readonly [number, number, number, number],
  draws: readonly ArrayLike<number>[],
): ImageNoise & { readonly drawn: () => number } {
  let next = 0;
  return {
    shape,
    draw: () => Float32Array.from(draws[next++] ?? []),
    state: () => [],
    drawn: () => next,
  };
}

/** The values of the images of a run, which are disposed. */
export async function drawn(...input: Parameters<typeof run>): Promise<Float32Array> {
  const x = await run(...input);
  const values = Float32Array.from(x.dataSync());
  x.dispose();
  return values;
}

/** The largest difference of two lists of numbers. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] ?? NaN) - (b[i] ?? NaN));
    if (Number.isNaN(difference)) return NaN;
    worst = Math.max(worst, difference);
  }
  return worst;
}
