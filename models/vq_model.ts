/**
 * The autoencoder of latent diffusion with a codebook (van den Oord et al. 2017; Rombach et al.
 * 2022, section 3.1), with the keys and tensor names of diffusers' `VQModel`.
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

/** A `config.json` of class `VQModel`. */
export interface VQModelConfig extends AutoencoderConfig {
  /** Entries of the codebook. */
  readonly num_vq_embeddings: number;
  /** Channels of an entry; null are those of the latents. */
  readonly vq_embed_dim: number | null;
  /** The decoder's norms: only `group` is known here. */
  readonly norm_type: "group";
}

/** What diffusers assumes where a key is absent. */
export const vqModelDefaults: VQModelConfig = {
  ...autoencoderDefaults,
  latent_channels: 3,
  num_vq_embeddings: 256,
  vq_embed_dim: null,
  norm_type: "group",
};

const fields: { readonly [K in keyof VQModelConfig]: Field } = {
  ...autoencoderFields,
  num_vq_embeddings: "count",
  vq_embed_dim: optional("count"),
  norm_type: ["group"],
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind or the blocks do not fit together.
 */
export function parseVQModelConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): VQModelConfig {
  return checkConfig(values, fields, vqModelDefaults, path, findAutoencoderMisfit);
}

/** Channels of a codebook's entry, and of the latents that a diffusion model sees. */
export function entrySize({ vq_embed_dim, latent_channels }: VQModelConfig): number {
  return vq_embed_dim ?? latent_channels;
}

/**
 * The latents of images, not yet quantized.
 *
 * @param image `[batch, height, width, in_channels]` in [-1, 1].
 * @returns `[batch, height / rate, width / rate, entry size]`.
 */
export function encodeVQ(scope: Scope, config: VQModelConfig, image: tf.Tensor4D): tf.Tensor4D {
  const h = encodeImage(scope.at("encoder"), config, image, config.latent_channels);
  return conv(scope.at("quant_conv"), h, entrySize(config), { kernel: 1 });
}

/** The codebook's nearest entries: their indices `[batch, height, width]` int32, and themselves. */
export function quantize(
  scope: Scope,
  config: VQModelConfig,
  latents: tf.Tensor4D,
): { readonly indices: tf.Tensor3D; readonly quantized: tf.Tensor4D } {
  const [batch, height, width, size] = latents.shape;
  const codebook = scope.at("quantize", "embedding").parameter(
    "weight",
    [config.num_vq_embeddings, size],
    "same",
    { uniform: 1 / config.num_vq_embeddings },
  ) as tf.Tensor2D;
  const rows: tf.Tensor2D = tf.reshape(latents, [-1, size]);
  // |z - e|² less |z|², which is the same for every entry.
  const squares = tf.sum(tf.square(codebook), 1);
  const distances = tf.sub(squares, tf.mul(tf.matMul(rows, codebook, false, true), 2));
  const indices = tf.argMin(distances, 1);
  return {
    indices: tf.reshape(indices, [batch, height, width]),
    quantized: tf.reshape(tf.gather(codebook, indices.toInt()), latents.shape),
  };
}

// The slope goes past the codebook as if it were not there (van den Oord et al. 2017, section 3.2).
function nearest(scope: Scope, config: VQModelConfig, latents: tf.Tensor4D): tf.Tensor4D {
  const straight = tf.customGrad((...args) => ({
    value: quantize(scope, config, args[0] as tf.Tensor4D).quantized,
    gradFunc: (dy: tf.Tensor) => dy,
  }));
  return straight(latents) as tf.Tensor4D;
}

/**
 * The images behind latents.
 *
 * @param latents `[batch, height, width, entry size]`, not scaled.
 * @param quantizes Whether they are replaced by the nearest entries first.
 * @returns `[batch, height * rate, width * rate, out_channels]`, about in [-1, 1].
 */
export function decodeVQ(
  scope: Scope,
  config: VQModelConfig,
  latents: tf.Tensor4D,
  quantizes = true,
): tf.Tensor4D {
  const entries = quantizes ? nearest(scope, config, latents) : latents;
  const z = conv(scope.at("post_quant_conv"), entries, config.latent_channels, { kernel: 1 });
  return decodeFeatures(scope.at("decoder"), config, z);
}
