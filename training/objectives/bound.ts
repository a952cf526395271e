/**
 * The terms of the variational bound (DDPM, equation 5), in bits per dimension.
 *
 * @module
 */
import * as tf from "tfjs";
import type { ChainStep, StepTensors } from "./chain.ts";
import { decoderLogLikelihood } from "./decoder.ts";
import type { Reverse } from "./reverse.ts";

/** The mean over all but the batch, `[batch]`. */
export function meanOfImages(x: tf.Tensor4D): tf.Tensor1D {
  return tf.mean(x, [1, 2, 3]);
}

const inBits = (nats: tf.Tensor4D): tf.Tensor1D => tf.div(meanOfImages(nats), Math.LN2);

/**
 * KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) of each image, or −log p(x_0 | x_1) where the step
 * is the last.
 *
 * @returns `[batch]`, bits per dimension.
 */
export function boundTerm(x0: tf.Tensor4D, step: StepTensors, reverse: Reverse): tf.Tensor1D {
  const { mean, logVariance, meant } = reverse;
  // The two means share their part of x, so they differ by what x0 differs by.
  const gap = tf.mul(tf.sub(x0, meant), step.fromX0);
  const wider = tf.sub(logVariance, step.low);
  const spread = tf.add(tf.sub(wider, 1), tf.exp(tf.neg(wider)));
  const off = tf.mul(tf.mul(gap, gap), tf.exp(tf.neg(logVariance)));
  const divergence = inBits(tf.mul(tf.add(spread, off), 0.5));
  const decoded = inBits(tf.neg(decoderLogLikelihood(x0, mean, logVariance)));
  const last = tf.reshape(step.last, [-1]);
  return tf.where(tf.greater(last, 0.5), decoded, divergence);
}

/**
 * L_T: KL(q(x_T | x_0) || N(0, 1)), which no training changes.
 *
 * @param step The first step of the chain, that starts at T.
 * @returns `[batch]`, bits per dimension.
 */
export function priorTerm(x0: tf.Tensor4D, { alpha }: Pick<ChainStep, "alpha">): tf.Tensor1D {
  const signal = alpha ** 2; // and 1 − signal is the variance
  const spread = -signal - Math.log1p(-signal);
  return inBits(tf.mul(tf.add(tf.mul(tf.mul(x0, x0), signal), spread), 0.5));
}
