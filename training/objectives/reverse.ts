/**
 * What a network's answer makes of a step of the reverse chain.
 *
 * @module
 */
import * as tf from "tfjs";
import type { PredictionType } from "../objective.ts";
import type { StepTensors } from "./chain.ts";

/** What an answer stands for; `previous` is the mean of the step itself (DDPM, section 3.2). */
export type MeanType = PredictionType | "previous";

/**
 * The variance of a step: the posterior's, beta, or what a second half of the answer's channels
 * says, as a logarithm (`learned`) or as a place in [-1, 1] between the logarithms of the two
 * (`learned_range`, Improved DDPM, equation 15).
 */
export type VarianceType = "small" | "large" | "learned" | "learned_range";

/** How an answer is read. */
export interface Reading {
  readonly mean: MeanType;
  readonly variance: VarianceType;
  /** Whether the predicted x0 is clipped to [-1, 1]. */
  readonly clip: boolean;
}

/** p(x_{t-1} | x_t), and the clean images that it stands for. */
export interface Reverse {
  readonly mean: tf.Tensor4D;
  readonly variance: tf.Tensor4D;
  readonly logVariance: tf.Tensor4D;
  readonly x0: tf.Tensor4D;
  /** The x0 whose posterior has this mean: `x0`, but unclipped where the answer is the mean. */
  readonly meant: tf.Tensor4D;
}

/** The mean of q(x_{t-1} | x_t, x_0) (DDPM, equation 7). */
export function posteriorMean(
  x0: tf.Tensor4D,
  x: tf.Tensor4D,
  { fromX0, fromX }: StepTensors,
): tf.Tensor4D {
  return tf.add(tf.mul(x0, fromX0), tf.mul(x, fromX));
}

/** True where half of an answer's channels tell the variance. */
export function isLearned(variance: VarianceType): boolean {
  return variance === "learned" || variance === "learned_range";
}

/** An answer's channels about the mean, and those about the variance. */
export function splitAnswer(
  answer: tf.Tensor4D,
  variance: VarianceType,
): [mean: tf.Tensor4D, variance: tf.Tensor4D | undefined] {
  return isLearned(variance)
    ? tf.split(answer, 2, 3) as [tf.Tensor4D, tf.Tensor4D]
    : [answer, undefined];
}

/** The step of the reverse chain that an answer at x stands for. */
export function reverseStep(
  answer: tf.Tensor4D,
  x: tf.Tensor4D,
  step: StepTensors,
  reading: Reading,
): Reverse {
  const [told, spread] = splitAnswer(answer, reading.variance);
  const free = predictedX0(told, x, step, reading.mean);
  const x0 = reading.clip ? tf.clipByValue(free, -1, 1) : free;
  const shape = told.shape;
  const whole = (tensor: tf.Tensor4D): tf.Tensor4D => tf.broadcastTo(tensor, shape);
  const direct = reading.mean === "previous";
  const { variance, logVariance } = varianceOf(spread, step, reading.variance);
  return {
    mean: direct ? told : posteriorMean(x0, x, step),
    variance: whole(variance),
    logVariance: whole(logVariance),
    x0,
    meant: direct ? free : x0,
  };
}

function predictedX0(
  told: tf.Tensor4D,
  x: tf.Tensor4D,
  { alpha, sigma, fromX0, fromX }: StepTensors,
  mean: MeanType,
): tf.Tensor4D {
  switch (mean) {
    case "sample":
      return told;
    case "epsilon":
      return tf.div(tf.sub(x, tf.mul(told, sigma)), alpha);
    case "v_prediction":
      return tf.sub(tf.mul(x, alpha), tf.mul(told, sigma));
    case "previous":
      return tf.div(tf.sub(told, tf.mul(x, fromX)), fromX0);
  }
}

function varianceOf(
  spread: tf.Tensor4D | undefined,
  { variance, low, high, last }: StepTensors,
  type: VarianceType,
): { readonly variance: tf.Tensor4D; readonly logVariance: tf.Tensor4D } {
  if (type === "small") return { variance, logVariance: low };
  if (type === "large" || spread === undefined) {
    // Beta of the last step is far above the variance of the data's own rounding.
    const logVariance = mix(high, low, last);
    return { variance: tf.exp(logVariance), logVariance };
  }
  const share = tf.mul<tf.Tensor4D>(tf.add(spread, 1), 0.5);
  const logVariance = type === "learned" ? spread : mix(low, high, share);
  return { variance: tf.exp(logVariance), logVariance };
}

/** `a` where the share is 0, `b` where it is 1. */
function mix(a: tf.Tensor4D, b: tf.Tensor4D, share: tf.Tensor4D): tf.Tensor4D {
  return tf.add(a, tf.mul(share, tf.sub(b, a)));
}
