/**
 * AdamW with gradient clipping, and the moving average of weights, on flat vectors.
 *
 * @module
 */
import * as tf from "tfjs";

/** What a step of training changes; every tensor is a vector over all parameters. */
export type OptimizerState = {
  readonly weights: tf.Tensor1D;
  /** Running mean of the gradient. */
  readonly mean: tf.Tensor1D;
  /** Running mean of its square. */
  readonly square: tf.Tensor1D;
  /** Exponential moving average of the weights: what samples are drawn with. */
  readonly average: tf.Tensor1D;
};

/** The numbers of one step, as scalars so that they can be a graph's inputs. */
export interface StepRates {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** Largest norm of the whole gradient. */
  readonly clip: number;
  /** The average's decay at this step. */
  readonly decay: number;
  /** Steps made before this one. */
  readonly step: number;
}

const EPSILON = 1e-8;

/**
 * AdamW (Loshchilov and Hutter 2019, Algorithm 2) after clipping the gradient's norm, then the
 * moving average.
 *
 * @returns The new state and the norm of the unclipped gradient.
 */
export function adamw(
  { weights, mean, square, average }: OptimizerState,
  gradient: tf.Tensor1D,
  rates: StepRates,
): { state: OptimizerState; norm: tf.Scalar } {
  const { learningRate, beta1, beta2, weightDecay, clip, decay, step } = rates;
  const norm = tf.sqrt(tf.sum(tf.mul(gradient, gradient))) as tf.Scalar;
  const clipped = tf.mul(gradient, tf.minimum(1, tf.div(clip, tf.add(norm, 1e-6))));
  const blend = (old: tf.Tensor1D, share: number, fresh: tf.Tensor): tf.Tensor1D =>
    tf.add(tf.mul(old, share), tf.mul(fresh, 1 - share));
  const first = blend(mean, beta1, clipped);
  const second = blend(square, beta2, tf.mul(clipped, clipped));
  const scale = learningRate / (1 - beta1 ** (step + 1)); // bias correction of the mean
  const root = tf.add(tf.mul(tf.sqrt(second), 1 / Math.sqrt(1 - beta2 ** (step + 1))), EPSILON);
  const kept = tf.mul(weights, 1 - learningRate * weightDecay);
  const moved = tf.sub(kept, tf.mul(tf.div(first, root), scale)) as tf.Tensor1D;
  return {
    state: { weights: moved, mean: first, square: second, average: blend(average, decay, moved) },
    norm,
  };
}

/** The average's decay at a step: a young average forgets its start faster (Song et al. 2020). */
export function averageDecay(decay: number, step: number): number {
  return Math.min(decay, (1 + step) / (10 + step));
}

/** How the learning rate falls after its warm-up. */
export type RateDecay = "constant" | "linear" | "cosine";

/** The learning rate at a step: a linear warm-up, then constant or falling to zero at the end. */
export function learningRate(
  step: number,
  options: { rate: number; warmup: number; steps: number; decay: RateDecay },
): number {
  const { rate, warmup, steps, decay } = options;
  if (step < warmup) return rate * (step + 1) / warmup;
  if (decay === "constant") return rate;
  const share = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return rate * (decay === "linear" ? 1 - share : (1 + Math.cos(Math.PI * share)) / 2);
}
