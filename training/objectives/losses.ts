/**
 * What a denoising network learns: L_simple of DDPM, and L_vlb and L_hybrid of Improved DDPM.
 *
 * @module
 */
import * as tf from "tfjs";
import { addNoise, type NoisyBatch, target } from "../objective.ts";
import { boundTerm, meanOfImages } from "./bound.ts";
import type { StepTensors } from "./chain.ts";
import {
  type MeanType,
  posteriorMean,
  reverseStep,
  splitAnswer,
  type VarianceType,
} from "./reverse.ts";

/**
 * - `simple`: the squared error (DDPM, equation 14).
 * - `hybrid`: that, and the bound as a teacher of the variance alone (Improved DDPM, equation 16).
 * - `vlb`: the bound's term of each timestep.
 * - `rescaled-vlb`: that times the number of timesteps, so that its mean is the whole bound.
 */
export const OBJECTIVES = ["simple", "hybrid", "vlb", "rescaled-vlb"] as const;

/** The name of an objective. */
export type Objective = (typeof OBJECTIVES)[number];

/** What is minimized. */
export interface LossOptions {
  readonly objective: Objective;
  readonly mean: MeanType;
  readonly variance: VarianceType;
  /** Lambda of L_hybrid, what the whole bound weighs beside the squared error. */
  readonly vlbWeight: number;
  /** Timesteps of the chain. */
  readonly timesteps: number;
}

/** Whether an objective needs the steps of the chain in its batches. */
export function needsChain({ objective }: Pick<LossOptions, "objective">): boolean {
  return objective !== "simple";
}

/** Losses of each image, `[batch]`. */
export interface Losses {
  /** What is minimized, times the importance of its timestep. */
  readonly loss: tf.Tensor1D;
  /** The squared error, before its weight. */
  readonly mse?: tf.Tensor1D;
  /** The term of the bound as it is in the loss, in bits per dimension. */
  readonly vlb?: tf.Tensor1D;
}

/** A network as losses see it: noisy images, timesteps, labels. */
export type Network = (x: tf.Tensor4D, t: tf.Tensor1D, labels?: tf.Tensor1D) => tf.Tensor4D;

/** The losses of a batch under an objective. */
export function lossesOf(network: Network, batch: NoisyBatch, options: LossOptions): Losses {
  const losses = equallyLikely(network, batch, options);
  const { importance } = batch;
  return importance === undefined
    ? losses
    : { ...losses, loss: tf.mul<tf.Tensor1D>(losses.loss, importance) };
}

function equallyLikely(network: Network, batch: NoisyBatch, options: LossOptions): Losses {
  const { objective, variance } = options;
  const x = addNoise(batch);
  const answer = network(x, batch.t, batch.labels);
  const scale = objective === "vlb" ? 1 : options.timesteps;
  if (objective === "vlb" || objective === "rescaled-vlb") {
    const vlb = tf.mul<tf.Tensor1D>(bound(answer, x, batch, options), scale);
    return { loss: vlb, vlb };
  }
  const [mean, spread] = splitAnswer(answer, variance);
  const error = tf.sub<tf.Tensor4D>(mean, targetOf(x, batch, options.mean));
  const mse = meanOfImages(tf.mul(error, error));
  const simple = tf.mul<tf.Tensor1D>(mse, batch.weight);
  if (objective === "simple" || spread === undefined) {
    return { loss: simple, mse };
  }
  // The bound teaches the variance only: its gradient by the mean is noisier than the error's.
  const frozen = tf.concat([stopGradient(mean), spread], 3);
  const vlb = tf.mul<tf.Tensor1D>(bound(frozen, x, batch, options), options.vlbWeight * scale);
  return { loss: tf.add(simple, vlb), mse, vlb };
}

function bound(
  answer: tf.Tensor4D,
  x: tf.Tensor4D,
  batch: NoisyBatch,
  { mean, variance }: LossOptions,
): tf.Tensor1D {
  const step = stepOf(batch);
  return boundTerm(batch.x0, step, reverseStep(answer, x, step, { mean, variance, clip: false }));
}

function targetOf(x: tf.Tensor4D, batch: NoisyBatch, mean: MeanType): tf.Tensor4D {
  return mean === "previous" ? posteriorMean(batch.x0, x, stepOf(batch)) : target(mean, batch);
}

/** The steps of the chain that a batch carries. */
function stepOf(batch: NoisyBatch): StepTensors {
  const { alpha, sigma, fromX0, fromX, variance, low, high, last } = batch;
  if (!fromX0 || !fromX || !variance || !low || !high || !last) {
    throw new TypeError("Cannot compute this loss on a batch without the steps of the chain");
  }
  return { alpha, sigma, fromX0, fromX, variance, low, high, last };
}

/** The same tensor, as a constant to gradients. */
function stopGradient(x: tf.Tensor4D): tf.Tensor4D {
  const constant = tf.customGrad((x) => ({
    value: tf.clone(x as tf.Tensor),
    gradFunc: (slope: tf.Tensor) => tf.zerosLike(slope),
  }));
  return constant(x) as tf.Tensor4D;
}
