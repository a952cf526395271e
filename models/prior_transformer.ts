/**
 * The diffusion prior of unCLIP (Ramesh et al. 2022, section 2.2), which denoises CLIP's embedding of
 * an image given a text, with the keys and tensor names of diffusers' `PriorTransformer`.
 *
 * @module
 */
import * as tf from "tfjs";
import { checkConfig, type Field, optional } from "./config.ts";
import { causalBias, layerNorm, linear, maskBias, timestepEmbedding } from "./layers.ts";
import type { Scope } from "./scope.ts";
import { transformerBlock } from "./transformer_blocks.ts";
import { embeddingLayers } from "./unet_blocks.ts";

/** A `config.json` of class `PriorTransformer`. */
export interface PriorTransformerConfig {
  readonly num_attention_heads: number;
  /** Channels of one head. */
  readonly attention_head_dim: number;
  readonly num_layers: number;
  /** The size of CLIP's embeddings. */
  readonly embedding_dim: number;
  /** Tokens of a text. */
  readonly num_embeddings: number;
  /** Tokens behind those: the embedded text, the timestep, the image, and the one that is read. */
  readonly additional_embeddings: number;
  readonly time_embed_act_fn: "silu";
  readonly time_embed_dim: number | null;
  readonly embedding_proj_dim: number | null;
  /** The size of the answer; null is `embedding_dim`. */
  readonly clip_embed_dim: number | null;
  readonly encoder_hid_proj_type: "linear";
  readonly added_emb_type: "prd";
  readonly norm_in_type: null;
  readonly embedding_proj_norm_type: null;
}

/** What diffusers assumes where a key is absent. */
export const priorTransformerDefaults: PriorTransformerConfig = {
  num_attention_heads: 32,
  attention_head_dim: 64,
  num_layers: 20,
  embedding_dim: 768,
  num_embeddings: 77,
  additional_embeddings: 4,
  time_embed_act_fn: "silu",
  time_embed_dim: null,
  embedding_proj_dim: null,
  clip_embed_dim: null,
  encoder_hid_proj_type: "linear",
  added_emb_type: "prd",
  norm_in_type: null,
  embedding_proj_norm_type: null,
};

const fields: { readonly [K in keyof PriorTransformerConfig]: Field } = {
  num_attention_heads: "count",
  attention_head_dim: "count",
  num_layers: "count",
  embedding_dim: "count",
  num_embeddings: "count",
  additional_embeddings: { only: 4 },
  time_embed_act_fn: ["silu"],
  time_embed_dim: optional("count"),
  embedding_proj_dim: optional("count"),
  clip_embed_dim: optional("count"),
  encoder_hid_proj_type: ["linear"],
  added_emb_type: ["prd"],
  norm_in_type: { only: null },
  embedding_proj_norm_type: { only: null },
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind.
 */
export function parsePriorTransformerConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): PriorTransformerConfig {
  return checkConfig(values, fields, priorTransformerDefaults, path);
}

/** What a prior is told beside x and t. */
export interface PriorConditions {
  /** CLIP's embedding of the text, `[batch, embedding_proj_dim]`. */
  readonly pooled: tf.Tensor2D;
  /** CLIP's last states of its tokens, `[batch, num_embeddings, embedding_dim]`. */
  readonly text: tf.Tensor3D;
  /** 1 for each token that counts and 0 for others, `[batch, num_embeddings]`; absent, all count. */
  readonly mask?: tf.Tensor2D | undefined;
}

/**
 * The clean embedding that the network sees behind x, not yet scaled: see {@linkcode embeddingOf}.
 *
 * @param x `[batch, embedding_dim]`, a noisy embedding of an image.
 * @param t `[batch]` float32, the training timesteps that it is at.
 * @returns `[batch, clip_embed_dim]`.
 */
export function priorTransformer(
  scope: Scope,
  config: PriorTransformerConfig,
  x: tf.Tensor2D,
  t: tf.Tensor1D,
  { pooled, text, mask }: PriorConditions,
): tf.Tensor2D {
  const { num_attention_heads: heads, additional_embeddings: added } = config;
  const size = heads * config.attention_head_dim;
  const [batch, dimensions] = x.shape;
  const tokens = text.shape[1] + added;
  const asToken = (vector: tf.Tensor2D) => tf.expandDims(vector, 1) as tf.Tensor3D;
  const time = timestepEmbedding(t, size, true, 0);
  const token = scope.parameter("prd_embedding", [1, 1, size], "same", { constant: 0 });
  const parts = [
    linear(scope.at("encoder_hidden_states_proj"), text, size),
    asToken(linear(scope.at("embedding_proj"), pooled, size)),
    asToken(
      embeddingLayers(scope.at("time_embedding"), time, config.time_embed_dim ?? size, size),
    ),
    asToken(linear(scope.at("proj_in"), x, size)),
    tf.tile(token as tf.Tensor3D, [batch, 1, 1]),
  ];
  const places = scope.parameter(
    "positional_embedding",
    [1, config.num_embeddings + added, size],
    "same",
    { constant: 0 },
  );
  let h = tf.add(tf.concat(parts, 1), places) as tf.Tensor3D;
  const causal = causalBias(tokens);
  const around: [number, number][] = [[0, 0], [0, 0], [0, added]];
  // As in diffusers, no order of tokens is kept where there is no mask.
  const bias = mask && tf.add<tf.Tensor3D>(causal, tf.pad(maskBias(mask), around));
  for (let layer = 0; layer < config.num_layers; layer++) {
    h = transformerBlock(scope.at("transformer_blocks", layer), h, {
      heads,
      activation: "gelu",
      biases: true,
      ...bias && { bias },
    });
  }
  const last = tf.slice(layerNorm(scope.at("norm_out"), h), [0, tokens - 1, 0], [batch, 1, size]);
  const out = config.clip_embed_dim ?? dimensions;
  const row: tf.Tensor2D = tf.reshape(last, [batch, size]);
  return linear(scope.at("proj_to_clip_embeddings"), row, out);
}

/** An embedding as CLIP has it: the prior works on one of mean 0 and variance 1. */
export function embeddingOf(
  scope: Scope,
  config: PriorTransformerConfig,
  x: tf.Tensor2D,
): tf.Tensor2D {
  const shape = [1, config.clip_embed_dim ?? config.embedding_dim];
  const mean = scope.parameter("clip_mean", shape, "same", { constant: 0 });
  const deviation = scope.parameter("clip_std", shape, "same", { constant: 1 });
  return tf.add(tf.mul(x, deviation), mean);
}
