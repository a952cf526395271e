/**
 * How the decoder of unCLIP is told of texts and images (Ramesh et al. 2022, section 2.1), with the
 * keys and tensor names of diffusers' `UnCLIPTextProjModel`.
 *
 * @module
 */
import * as tf from "tfjs";
import { checkConfig, type Field } from "./config.ts";
import { layerNorm, linear } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** A `config.json` of class `UnCLIPTextProjModel`. */
export interface UnClipTextProjConfig {
  /** Tokens that stand for the image, before those of the text. */
  readonly clip_extra_context_tokens: number;
  readonly clip_embeddings_dim: number;
  readonly time_embed_dim: number;
  readonly cross_attention_dim: number;
}

const fields: { readonly [K in keyof UnClipTextProjConfig]: Field } = {
  clip_extra_context_tokens: "count",
  clip_embeddings_dim: "count",
  time_embed_dim: "count",
  cross_attention_dim: "count",
};

/**
 * The checked configuration of a `config.json`; diffusers has no defaults of the last two.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind.
 */
export function parseUnClipTextProjConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): UnClipTextProjConfig {
  const defaults = {
    clip_extra_context_tokens: 4,
    clip_embeddings_dim: 768,
    time_embed_dim: 0,
    cross_attention_dim: 0,
  };
  return checkConfig(values, fields, defaults, path);
}

/**
 * What the decoder's conditions are.
 *
 * @param image CLIP's embeddings of images `[batch, clip_embeddings_dim]`.
 * @param known 1 for each image that counts, 0 where the network is to know none, `[batch]`.
 * @param pooled CLIP's embeddings of texts, `[batch, clip_embeddings_dim]`.
 * @param text CLIP's last states of their tokens, `[batch, tokens, clip_embeddings_dim]`.
 * @returns `text` `[batch, clip_extra_context_tokens + tokens, cross_attention_dim]` and `labels`
 * `[batch, time_embed_dim]`.
 */
export function unClipTextProj(
  scope: Scope,
  config: UnClipTextProjConfig,
  image: tf.Tensor2D,
  known: tf.Tensor1D,
  pooled: tf.Tensor2D,
  text: tf.Tensor3D,
): { readonly text: tf.Tensor3D; readonly labels: tf.Tensor2D } {
  const [batch] = pooled.shape;
  const { clip_extra_context_tokens: extra, cross_attention_dim: size } = config;
  const none = scope.parameter(
    "learned_classifier_free_guidance_embeddings",
    [config.clip_embeddings_dim],
    "same",
    { constant: 0 },
  );
  const share = tf.expandDims(known, 1);
  const seen: tf.Tensor2D = tf.add(tf.mul(image, share), tf.mul(none, tf.sub(1, share)));
  const toTime = (name: string, vector: tf.Tensor2D) =>
    linear(scope.at(name), vector, config.time_embed_dim);
  const labels = tf.add<tf.Tensor2D>(
    toTime("clip_image_embeddings_project_to_time_embeddings", seen),
    toTime("embedding_proj", pooled),
  );
  const flat = linear(scope.at("clip_extra_context_tokens_proj"), seen, extra * size);
  const tokens = tf.transpose(tf.reshape(flat, [batch, size, extra]), [0, 2, 1]) as tf.Tensor3D;
  const words = layerNorm(
    scope.at("text_encoder_hidden_states_norm"),
    linear(scope.at("encoder_hidden_states_proj"), text, size),
  );
  return { text: tf.concat([tokens, words], 1), labels };
}
