/**
 * The autoencoder of Stable Diffusion, regularized by a KL term (Rombach et al. 2022, section 3.1;
 * Kingma and Welling 2014), with the keys and tensor names of diffusers' `AutoencoderKL`.
 *
 * @module
 */
import * as tf from "tfjs";
import {
  type AutoencoderConfig,
  autoencoderDefaults,
  autoencoderFields,
  decodeFeatures,
  encodeImage,
  findAutoencoderMisfit,
} from "./autoencoder_blocks.ts";
import { checkConfig, type Field, optional } from "./config.ts";
import { conv } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** A `config.json` of class `AutoencoderKL`. */
export interface AutoencoderKLConfig extends AutoencoderConfig {
  /** What is taken from latents before they are scaled; null is nothing. */
  readonly shift_factor: number | null;
  readonly use_quant_conv: boolean;
  readonly use_post_quant_conv: boolean;
}

/** What diffusers assumes where a key is absent. */
export const autoencoderKLDefaults: AutoencoderKLConfig = {
  ...autoencoderDefaults,
  shift_factor: null,
  use_quant_conv: true,
  use_post_quant_conv: true,
};

const fields: { readonly [K in keyof AutoencoderKLConfig]: Field } = {
  ...autoencoderFields,
  shift_factor: optional("number"),
  use_quant_conv: "flag",
  use_post_quant_conv: "flag",
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind or the blocks do not fit together.
 */
export function parseAutoencoderKLConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): AutoencoderKLConfig {
  return checkConfig(values, fields, autoencoderKLDefaults, path, findAutoencoderMisfit);
}

/** The normal distribution of an image's latents, each element by itself. */
export interface Posterior {
  /** Its mode, too; `[batch, height, width, latent_channels]`. */
  readonly mean: tf.Tensor4D;
  /** The logarithm of its variance, in [-30, 20]. */
  readonly logvar: tf.Tensor4D;
}

/**
 * What the encoder says of images: means and logarithms of variances, see {@linkcode posteriorOf}.
 *
 * @param image `[batch, height, width, in_channels]` in [-1, 1].
 * @returns `[batch, height / rate, width / rate, 2 * latent_channels]`.
 */
export function encodeMoments(
  scope: Scope,
  config: AutoencoderKLConfig,
  image: tf.Tensor4D,
): tf.Tensor4D {
  const size = 2 * config.latent_channels;
  const moments = encodeImage(scope.at("encoder"), config, image, size);
  if (!config.use_quant_conv) return moments;
  return conv(scope.at("quant_conv"), moments, size, { kernel: 1 });
}

/** The distribution that moments stand for. */
export function posteriorOf(moments: tf.Tensor4D): Posterior {
  const [mean, logvar] = tf.split(moments, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
  return { mean, logvar: tf.clipByValue(logvar, -30, 20) };
}

/** A draw of the distribution, by `noise` of N(0, 1) in the shape of its mean. */
export function drawLatents({ mean, logvar }: Posterior, noise: tf.Tensor4D): tf.Tensor4D {
  return tf.add(mean, tf.mul(tf.exp(tf.mul(logvar, 0.5)), noise));
}

/**
 * The images behind latents.
 *
 * @param latents `[batch, height, width, latent_channels]`, not scaled.
 * @returns `[batch, height * rate, width * rate, out_channels]`, about in [-1, 1].
 */
export function decodeLatents(
  scope: Scope,
  config: AutoencoderKLConfig,
  latents: tf.Tensor4D,
): tf.Tensor4D {
  const z = config.use_post_quant_conv
    ? conv(scope.at("post_quant_conv"), latents, config.latent_channels, { kernel: 1 })
    : latents;
  return decodeFeatures(scope.at("decoder"), config, z);
}
