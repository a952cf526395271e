/**
 * The discretized Gaussian decoder of DDPM (section 3.3): the probability of 8-bit pixels.
 *
 * @module
 */
import * as tf from "tfjs";

/** Half of the distance between two pixel values in [-1, 1]. */
const HALF_BIN = 1 / 255;

/** No pixel's probability counts as less. */
const SMALLEST = Math.log(1e-12);

const [SLOPE, CUBE] = [Math.sqrt(2 / Math.PI), 0.044715] as const;

/**
 * Log-probability of pixels under a normal distribution that is rounded to 8 bits; 0 and 255 take
 * all that lies beyond them.
 *
 * The normal distribution function is approximated as in OpenAI's code, by
 * `(1 + tanh(s)) / 2` with `s = √(2/π) (z + 0.044715 z³)`. That is the logistic function at 2s, so
 * all can be computed from logarithms: in float32 a difference of two functions near 1 loses all
 * its digits three deviations off the mean.
 *
 * @param x Pixels in [-1, 1] at multiples of 2/255 from the ends.
 */
export function decoderLogLikelihood(
  x: tf.Tensor4D,
  mean: tf.Tensor4D,
  logVariance: tf.Tensor4D,
): tf.Tensor4D {
  const scale = tf.exp(tf.mul(logVariance, -0.5));
  const z = tf.mul(tf.sub(x, mean), scale);
  const half = tf.mul(scale, HALF_BIN);
  const below = tf.neg(tf.softplus(tf.neg(logit(tf.add(z, half))))); // log P(the pixel or less)
  const above = tf.neg(tf.softplus(logit(tf.sub(z, half)))); // log P(the pixel or more)
  const inside = logBetween(tf.abs(z), half);
  const log = tf.where(
    tf.less(x, -0.999),
    below,
    tf.where(tf.greater(x, 0.999), above, inside),
  ) as tf.Tensor4D;
  return tf.maximum(log, SMALLEST);
}

/** The logit of the distribution function at z. */
function logit(z: tf.Tensor): tf.Tensor {
  return tf.mul(tf.add(z, tf.mul(tf.mul(tf.mul(z, z), z), CUBE)), 2 * SLOPE);
}

/**
 * Log-probability of [z − half, z + half], by symmetry as that of the same interval below 0, where
 * with logits a > b it is `log σ(a) + log(1 − e^(b − a)) − log(1 + e^b)`.
 */
function logBetween(z: tf.Tensor, half: tf.Tensor): tf.Tensor {
  const [high, low] = [tf.sub(half, z), tf.neg(tf.add(half, z))];
  const [a, b] = [logit(high), logit(low)];
  // a − b without the difference of two large numbers.
  const squares = tf.addN([tf.mul(high, high), tf.mul(high, low), tf.mul(low, low)]);
  const gap = tf.mul(tf.mul(half, tf.add(tf.mul(squares, CUBE), 1)), 4 * SLOPE);
  const between = tf.log(tf.sub(1, tf.exp(tf.neg(gap))));
  return tf.sub(tf.sub(between, tf.softplus(tf.neg(a))), tf.softplus(b));
}
