/**
 * The terms of the variational bound of images, level by level (Improved DDPM, section 3).
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Computation } from "../engines/engine.ts";
import type { Scope } from "../models/scope.ts";
import { addNoise } from "../training/objective.ts";
import { boundTerm, meanOfImages, priorTerm } from "../training/objectives/bound.ts";
import { chainOf, type StepTensors, stepTensors } from "../training/objectives/chain.ts";
import { type Reading, reverseStep } from "../training/objectives/reverse.ts";

/** A network over parameters. */
export type ScopedNetwork = (
  scope: Scope,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: tf.Tensor1D,
) => tf.Tensor4D;

/** The parts of a step, in the order in which a computation takes them. */
const PARTS = ["alpha", "sigma", "fromX0", "fromX", "variance", "low", "high", "last"] as const;

/**
 * One term of the bound for each image as a computation of the clean images, their noise, t, the
 * step's parts and, where the network is class-conditional, labels. It answers with bits per
 * dimension and the squared error of the predicted x0, `[batch]` each.
 */
export function termComputation(network: ScopedNetwork, reading: Reading): Computation {
  return (scope, ...inputs) => {
    const [x0, eps, t] = inputs as [tf.Tensor4D, tf.Tensor4D, tf.Tensor1D];
    const [parts, [labels]] = [inputs.slice(3, 3 + PARTS.length), inputs.slice(3 + PARTS.length)];
    const step = Object.fromEntries(PARTS.map((part, i) => [part, parts[i]])) as StepTensors;
    const x = addNoise({ x0, eps, ...step });
    const answer = network(scope, x, t, labels as tf.Tensor1D | undefined);
    const reverse = reverseStep(answer, x, step, reading);
    const error = tf.sub<tf.Tensor4D>(reverse.x0, x0);
    return [boundTerm(x0, step, reverse), meanOfImages(tf.mul(error, error))];
  };
}

/** A chain whose bound is wanted, and what computes its terms. */
export interface BoundModel {
  /** {@linkcode termComputation} on an engine. */
  readonly terms: Compiled;
  /** ᾱ of the chain's levels, falling. */
  readonly alphasCumprod: ArrayLike<number>;
  /** What the network is told at each of them. */
  readonly timesteps: ArrayLike<number>;
}

/** Images to be measured. */
export interface MeasuredImages {
  /** `[batch, height, width, channel]` in [-1, 1]. */
  readonly x0: tf.Tensor4D;
  readonly labels?: tf.Tensor1D | undefined;
  /** New noise for all images at each call: one is made for each level, the noisiest first. */
  readonly noise: () => Float32Array;
}

/** What is known of each image, and of the terms by level. */
export interface BoundOfImages {
  /** Of each image, bits per dimension. */
  readonly totals: Float64Array;
  /** L_T of each image. */
  readonly priors: Float64Array;
  /** Sums over the images by level: the term, the cleanest (L_0, the decoder's) first. */
  readonly terms: Float64Array;
  /** Sums by level of the mean squared error of x0. */
  readonly x0Errors: Float64Array;
  /** Sums by level of the mean squared error of the noise. */
  readonly noiseErrors: Float64Array;
}

/**
 * The bound of a batch of images.
 *
 * @param onLevel called after each level.
 * @param signal ends it between two levels, with its reason.
 */
export async function boundOfImages(
  { terms, alphasCumprod, timesteps }: BoundModel,
  { x0, labels, noise }: MeasuredImages,
  { onLevel, signal }: { onLevel?: () => void; signal?: AbortSignal | undefined } = {},
): Promise<BoundOfImages> {
  const chain = chainOf(alphasCumprod);
  const [batch] = x0.shape;
  const noisiest = tf.tidy(() => priorTerm(x0, chain.at(-1) ?? { alpha: NaN }));
  const priors = Float64Array.from(await noisiest.data());
  noisiest.dispose();
  const totals = priors.slice();
  const byLevel = () => new Float64Array(chain.length);
  const sums = { terms: byLevel(), x0Errors: byLevel(), noiseErrors: byLevel() };
  for (let place = chain.length - 1; place >= 0; place--) {
    signal?.throwIfAborted();
    const step = stepTensors(chain, new Array(batch).fill(place));
    const eps = tf.tensor4d(noise(), x0.shape);
    const t = tf.fill([batch], timesteps[place] ?? NaN);
    const inputs = [x0, eps, t, ...PARTS.map((part) => step[part]), ...labels ? [labels] : []];
    const outputs = await terms(...inputs);
    const [bits = [], errors = []] = await Promise.all(outputs.map((output) => output.data()));
    tf.dispose([eps, t, step, outputs]);
    const { alpha, sigma } = chain[place] ?? { alpha: NaN, sigma: NaN };
    Array.from(bits).forEach((value, image) => {
      const error = errors[image] ?? NaN;
      totals[image] = (totals[image] ?? 0) + value;
      sums.terms[place] = (sums.terms[place] ?? 0) + value;
      sums.x0Errors[place] = (sums.x0Errors[place] ?? 0) + error;
      // The noise is off by alpha / sigma of what x0 is off by.
      sums.noiseErrors[place] = (sums.noiseErrors[place] ?? 0) + (alpha / sigma) ** 2 * error;
    });
    onLevel?.();
  }
  return { totals, priors, ...sums };
}
