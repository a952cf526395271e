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

/** The numbers of one step. */
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

/** What changes from step to step, ready to multiply with. */
export const FACTORS = ["kept", "scale", "spread", "old", "fresh"] as const;

type Factor = number | tf.Scalar;

/** The factors of one step: numbers, or scalars where they are the inputs of a graph. */
export type Factors = Readonly<Record<(typeof FACTORS)[number], Factor>>;

/** The factors of a step, in double precision. */
export function factorsOf(
  { learningRate, beta1, beta2, weightDecay, decay, step }: StepRates,
): Readonly<Record<keyof Factors, number>> {
  return {
    kept: 1 - learningRate * weightDecay,
    scale: learningRate / (1 - beta1 ** (step + 1)), // bias correction of the mean
    spread: 1 / Math.sqrt(1 - beta2 ** (step + 1)), // and of the square's root
    old: decay,
    fresh: 1 - decay,
  };
}

function blend(a: tf.Tensor1D, ofA: Factor, b: tf.Tensor, ofB: Factor): tf.Tensor1D {
  return tf.add(tf.mul(a, ofA), tf.mul(b, ofB));
}

/**
 * AdamW (Loshchilov and Hutter 2019, Algorithm 2) after clipping the gradient's norm, then the
 * moving average.
 *
 * @param factors The rates' own; scalars in a graph that serves all steps
 * @returns The new state and the norm of the unclipped gradient.
 */
export function adamw(
  { weights, mean, square, average }: OptimizerState,
  gradient: tf.Tensor1D,
  rates: StepRates,
  factors: Factors = factorsOf(rates),
): { state: OptimizerState; norm: tf.Scalar } {
  const { beta1, beta2, clip } = rates;
  const norm = tf.sqrt(tf.sum(tf.mul(gradient, gradient))) as tf.Scalar;
  const clipped = tf.mul(gradient, tf.minimum(1, tf.div(clip, tf.add(norm, 1e-6))));
  const { kept, scale, spread, old, fresh } = factors;
  const first = blend(mean, beta1, clipped, 1 - beta1);
  const second = blend(square, beta2, tf.mul(clipped, clipped), 1 - beta2);
  const root = tf.add(tf.mul(tf.sqrt(second), spread), EPSILON);
  const step = tf.mul(tf.div(first, root), scale);
  const moved = tf.sub(tf.mul(weights, kept), step) as tf.Tensor1D;
  return {
    state: {
      weights: moved,
      mean: first,
      square: second,
      average: blend(average, old, moved, fresh),
    },
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
