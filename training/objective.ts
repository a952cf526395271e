/**
 * What a denoising network learns from: noisy images, and what they were made of.
 *
 * @module
 */
import * as tf from "tfjs";
import type { StepTensors } from "./objectives/chain.ts";

/** What the network's answer stands for. */
export type PredictionType = (typeof PREDICTION_TYPES)[number];

/** The names of {@linkcode PredictionType}, as `scheduler_config.json` has them. */
export const PREDICTION_TYPES = ["epsilon", "sample", "v_prediction"] as const;

/**
 * The type of that name.
 *
 * @throws {TypeError} Where it is one that has no loss here, such as a flow.
 */
export function predictionType(name: string): PredictionType {
  const type = PREDICTION_TYPES.find((type) => type === name);
  if (type !== undefined) return type;
  throw new TypeError(
    `Cannot compute losses of a model that predicts ${name}: it must be one of ${
      PREDICTION_TYPES.join(", ")
    }`,
  );
}

/**
 * One batch of noisy images and what is known of them, with the steps of the chain where the loss
 * needs them.
 */
export type NoisyBatch = Partial<Omit<StepTensors, "alpha" | "sigma">> & {
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
  /** `[batch]`: what the squared error weighs at t. */
  readonly weight: tf.Tensor1D;
  /** `[batch]`: what the loss weighs because t was drawn more or less often than others. */
  readonly importance?: tf.Tensor1D | undefined;
  /** `[batch]` int32, where the network is class-conditional. */
  readonly labels?: tf.Tensor1D | undefined;
};

/** The forward process: a draw from q(x_t | x_0) (DDPM, equation 4). */
export function addNoise(
  { x0, eps, alpha, sigma }: Pick<NoisyBatch, "x0" | "eps" | "alpha" | "sigma">,
): tf.Tensor4D {
  return tf.add(tf.mul(x0, alpha), tf.mul(eps, sigma));
}

/** What the network should answer. */
export function target(type: PredictionType, { x0, eps, alpha, sigma }: NoisyBatch): tf.Tensor4D {
  if (type === "epsilon") return eps;
  if (type === "sample") return x0;
  return tf.sub(tf.mul(eps, alpha), tf.mul(x0, sigma)); // v (Salimans and Ho 2022, appendix D)
}
