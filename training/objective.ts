/**
 * What a denoising network learns: L_simple of DDPM and its weighted forms.
 *
 * @module
 */
import * as tf from "tfjs";

/** What the network's answer stands for. */
export type PredictionType = (typeof PREDICTION_TYPES)[number];

/** The names of {@linkcode PredictionType}, as `scheduler_config.json` has them. */
export const PREDICTION_TYPES = ["epsilon", "sample", "v_prediction"] as const;

/** One batch of noisy images and what is known of them. */
export type NoisyBatch = {
  /** Clean images `[batch, height, width, channel]` in [-1, 1]. */
  readonly x0: tf.Tensor4D;
  /** The noise that is mixed in, shaped alike. */
  readonly eps: tf.Tensor4D;
  /** `[batch]`: the training timesteps. */
  readonly t: tf.Tensor1D;
  /** `[batch, 1, 1, 1]`: √ᾱ at t. */
  readonly alpha: tf.Tensor4D;
  /** `[batch, 1, 1, 1]`: √(1 − ᾱ) at t. */
  readonly sigma: tf.Tensor4D;
  /** `[batch]`: {@linkcode lossWeight} at t. */
  readonly weight: tf.Tensor1D;
  /** `[batch]` int32, where the network is class-conditional. */
  readonly labels?: tf.Tensor1D | undefined;
};

/** The forward process: a draw from q(x_t | x_0) (DDPM, equation 4). */
export function addNoise({ x0, eps, alpha, sigma }: NoisyBatch): tf.Tensor4D {
  return tf.add(tf.mul(x0, alpha), tf.mul(eps, sigma));
}

/** What the network should answer. */
export function target(type: PredictionType, { x0, eps, alpha, sigma }: NoisyBatch): tf.Tensor4D {
  if (type === "epsilon") return eps;
  if (type === "sample") return x0;
  return tf.sub(tf.mul(eps, alpha), tf.mul(x0, sigma)); // v (Salimans and Ho 2022, appendix D)
}

/**
 * The weight of the squared error at a signal-to-noise ratio α²/σ²: 1, or min-SNR (Hang et al.
 * 2023, equation 6), which stops the easy, nearly clean levels from ruling the gradient.
 *
 * @param gamma the largest ratio that counts; 0 weighs all levels alike.
 */
export function lossWeight(type: PredictionType, snr: number, gamma: number): number {
  if (gamma === 0) return 1;
  if (type === "epsilon") return Math.min(1, gamma / snr); // finite also where the ratio is 0
  const capped = Math.min(snr, gamma);
  return type === "sample" ? capped : capped / (snr + 1);
}

/** L_simple (DDPM, equation 14): the mean squared error of the answer, weighted by level. */
export function simpleLoss(
  network: (x: tf.Tensor4D, t: tf.Tensor1D, labels?: tf.Tensor1D) => tf.Tensor4D,
  type: PredictionType,
  batch: NoisyBatch,
): tf.Scalar {
  const answer = network(addNoise(batch), batch.t, batch.labels);
  const error = tf.sub(answer, target(type, batch));
  const perImage = tf.mean(tf.mul(error, error), [1, 2, 3]);
  return tf.mean(tf.mul(perImage, batch.weight)) as tf.Scalar;
}
