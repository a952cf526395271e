/**
 * Models in closed form: what a perfectly trained network would answer, without one. The clean
 * images are a mixture of Gaussians whose values are independent of each other, so the best guess
 * of the clean image, and with it score, flow and moments, is known exactly at every level.
 *
 * @module
 */
import * as tf from "tfjs";
import { alphasCumprod, linear, path, type Spacing } from "../../schedules/mod.ts";
import {
  type Conditions,
  guidedPredict,
  type Networks,
  type Predict,
} from "../../pipeline/denoiser.ts";
import { pathProcess } from "../../pipeline/process.ts";
import { run } from "../../pipeline/run.ts";
import { type ImageNoise, imageNoise, imageSeeds } from "../../noise/mod.ts";
import type { Guidance, Images, Level, Loss, Sampler } from "../../plugin.ts";
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

/** The probabilities of components, given one noisy image. */
function sharesOf(
  { weights, means, deviations }: Mixture,
  { x, size, at: { alpha, sigma } }: Noisy,
  components: readonly number[],
): number[] {
  const logs = components.map((k) => {
    let log = Math.log(weights[k] ?? NaN);
    for (let d = 0; d < size; d++) {
      const variance = (alpha * cycle(deviations[k], d)) ** 2 + sigma ** 2;
      const distance = (x[d] ?? NaN) - alpha * cycle(means[k], d);
      log -= 0.5 * (Math.log(variance) + distance ** 2 / variance);
    }
    return log;
  });
  const shares = logs.map((log) => Math.exp(log - Math.max(...logs)));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

/** E[x0 | x] in doubles. */
export function cleanOf({ weights, means, deviations }: Mixture, noisy: Noisy): Float64Array {
  const { x, size, at: { alpha, sigma }, labels } = noisy;
  const out = new Float64Array(x.length);
  for (let image = 0; image < x.length / size; image++) {
    const label = labels?.[image] ?? -1;
    const ours = weights.map((_, k) => k).filter((k) => !(label in weights) || k === label);
    const own = Array.from({ length: size }, (_, d) => x[image * size + d] ?? NaN);
    const shares = sharesOf({ weights, means, deviations }, { ...noisy, x: own }, ours);
    for (let d = 0; d < size; d++) {
      const value = x[image * size + d] ?? NaN;
      for (const [i, k] of ours.entries()) {
        const [mean, square] = [cycle(means[k], d), cycle(deviations[k], d) ** 2];
        const variance = alpha ** 2 * square + sigma ** 2;
        const clean = mean + alpha * square / variance * (value - alpha * mean);
        out[image * size + d] = (out[image * size + d] ?? NaN) + (shares[i] ?? NaN) * clean;
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

/**
 * `(d E[x0 | x] / d x)ᵀ slope` in doubles: the derivative is `alpha / sigma²` times the covariance of
 * x0 behind x, of which the part within components is diagonal and the part between is not.
 */
export function pullbackOf(
  { weights, means, deviations }: Mixture,
  noisy: Noisy,
  slope: ArrayLike<number>,
): Float64Array {
  const { x, size, at: { alpha, sigma }, labels } = noisy;
  const out = new Float64Array(x.length);
  for (let image = 0; image < x.length / size; image++) {
    const label = labels?.[image] ?? -1;
    const part = (values: ArrayLike<number>) =>
      Array.from({ length: size }, (_, d) => values[image * size + d] ?? NaN);
    const [own, along] = [part(x), part(slope)];
    const dot = (a: ArrayLike<number>) =>
      along.reduce((sum, value, d) => sum + value * (a[d] ?? NaN), 0);
    const ours = weights.map((_, k) => k).filter((k) => !(label in weights) || k === label);
    const cleans = ours.map((k) =>
      cleanOf({ weights, means, deviations }, {
        ...noisy,
        x: own,
        labels: [k],
      })
    );
    const mean = cleanOf({ weights, means, deviations }, { ...noisy, x: own, labels: [label] });
    const shares = sharesOf({ weights, means, deviations }, { ...noisy, x: own }, ours);
    for (let d = 0; d < size; d++) {
      let covered = -(mean[d] ?? NaN) * dot(mean);
      for (const [i, k] of ours.entries()) {
        const square = cycle(deviations[k], d) ** 2;
        const spread = square * sigma ** 2 / (alpha ** 2 * square + sigma ** 2);
        const between = (cleans[i]?.[d] ?? NaN) * dot(cleans[i] ?? []);
        covered += (shares[i] ?? NaN) * (spread * (along[d] ?? NaN) + between);
      }
      out[image * size + d] = alpha / sigma ** 2 * covered;
    }
  }
  return out;
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
  /** The model that a guidance's option `model` names; a {@linkcode blurred} one where absent. */
  readonly other?: Mixture;
  /** What it sees without self-attention; {@linkcode blurred} where absent. */
  readonly perturbed?: Mixture;
  /** How much attention a place receives. */
  readonly received?: (place: number) => number;
}

/** Guided predictions of a model in closed form, and a list of the calls of its networks. */
export function closedForm(form: ClosedForm): {
  readonly predict: Predict;
  readonly calls: readonly Call[];
  readonly gradients: readonly Call[];
  readonly pullbacks: readonly Call[];
  /** The calls of the network of a model that a guidance names. */
  readonly others: readonly Call[];
  /** The calls of the network without self-attention, and of its attention. */
  readonly blind: readonly Call[];
  readonly looks: readonly Call[];
} {
  const { mixture, type = "sample", variance, conditions = {}, guidances = [] } = form;
  const [calls, gradients]: [Call[], Call[]] = [[], []];
  const [pullbacks, others]: [Call[], Call[]] = [[], []];
  const [blind, looks]: [Call[], Call[]] = [[], []];
  let at: Level = { t: NaN, alpha: NaN, sigma: NaN };
  const noisyOf = (
    list: Call[] | undefined,
    [x, t, labels]: readonly (tf.Tensor | undefined)[],
  ): Noisy => {
    if (x === undefined || t === undefined) throw new TypeError("A network takes x and t");
    const own = labels && [...labels.dataSync()];
    list?.push({ batch: x.shape[0] ?? 0, at, t: [...t.dataSync()], labels: own });
    return { x: x.dataSync(), size: x.size / (x.shape[0] ?? 1), at, labels: own };
  };
  const networksOf = (mixture: Mixture, calls?: Call[]): Networks => ({
    model: {
      name: "mixture",
      labels: mixture.weights.map((_, k) => `${k}`),
      nullClass: form.nullClass === false ? undefined : NO_CLASS,
    },
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
    pullback(x, t, slope, labels) {
      const noisy = noisyOf(pullbacks, [x, t, labels]);
      const [batch = 0, height = 0, width = 0, channels = 0] = x?.shape ?? [];
      const told = tf.slice(slope as Images, 0, [batch, height, width, channels]).dataSync();
      const { alpha, sigma } = at;
      const slopes = pullbackOf(mixture, noisy, told).map((clean, i) => {
        const own = told[i] ?? NaN;
        if (type === "sample") return clean;
        return type === "epsilon"
          ? (own - alpha * clean) / sigma
          : alpha / sigma * own - (alpha ** 2 / sigma + sigma) * clean;
      });
      return Promise.resolve([tf.tensor4d(Float32Array.from(slopes), (x as Images).shape)]);
    },
    gradient: form.gradient === null ? undefined : (...inputs) => {
      const noisy = noisyOf(gradients, inputs);
      const slope = form.gradient?.(noisy) ?? gradientOf(mixture, noisy);
      return Promise.resolve([
        tf.tensor4d(Float32Array.from(slope), (inputs[0] as Images).shape),
      ]);
    },
    other: () => networksOf(form.other ?? blurred(mixture), others),
    perturbed: () => networksOf(form.perturbed ?? blurred(mixture), blind).network,
    attention(...inputs) {
      noisyOf(looks, inputs);
      const [batch = 0, height = 0, width = 0] = inputs[0]?.shape ?? [];
      const received = form.received ?? ((place) => place % 3); // of mean 1 nearly
      const values = Array.from({ length: height * width }, (_, place) => received(place));
      return Promise.resolve([tf.tile(tf.tensor2d(values, [1, height * width]), [batch, 1])]);
    },
  });
  const networks = networksOf(mixture, calls);
  const predict = guidedPredict(networks, conditions, guidances, form.takesShift ?? false);
  return {
    calls,
    gradients,
    pullbacks,
    others,
    blind,
    looks,
    predict(x, level, ...rest) {
      at = level;
      return predict(x, level, ...rest);
    },
  };
}

/** A worse model of the same images: wider by half. */
function blurred({ deviations, ...rest }: Mixture): Mixture {
  return { ...rest, deviations: deviations.map((list) => list.map((each) => 1.5 * each)) };
}

/** A sampler as it is chosen on the command line. */
export function choose(
  sampler: Sampler,
  given: Readonly<Record<string, string | number | boolean>> = {},
): Chosen<Sampler> {
  const options = checkOptions("sampler", sampler.name, sampler.options, given);
  return { source: sampler.name, plugin: sampler, options, from: 0, until: 1 };
}

/** The loss of images whose values are not 0.5. */
const squares: Loss = (x0) => tf.sum(tf.square(tf.sub(x0, 0.5)));

/** A guidance as it is chosen on the command line, with its interval. */
export function guide(
  guidance: Guidance,
  given: Readonly<Record<string, string | number | boolean>> = {},
  { from = 0, until = 1, loss = squares as Loss } = {},
): Chosen<Guidance> {
  const options = checkOptions("guidance", guidance.name, guidance.options, given);
  const needsLoss = guidance.needs?.includes("loss");
  return {
    source: guidance.name,
    plugin: guidance,
    options,
    from,
    until,
    ...needsLoss && { loss },
  };
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
