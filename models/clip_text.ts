/**
 * The text encoder of CLIP (Radford et al. 2021, section 2.4), with the keys and tensor names of
 * transformers' `CLIPTextModel` and `CLIPTextModelWithProjection`.
 *
 * @module
 */
import * as tf from "tfjs";
import { checkConfig, type Field } from "./config.ts";
import { attention, causalBias, gelu, layerNorm, linear, quickGelu } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** What of a `config.json` the network reads; the defaults are those of CLIP ViT-B/32. */
export interface ClipTextConfig {
  readonly vocab_size: number;
  /** The longest text, in tokens. */
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly hidden_act: "quick_gelu" | "gelu";
  readonly layer_norm_eps: number;
  /** The size of the projected text, where the checkpoint has a projection. */
  readonly projection_dim: number;
  /** What ends a text; 2, a mistake in old configurations, stands for the largest token. */
  readonly eos_token_id: number;
}

/** What transformers assumes where a key is absent. */
export const clipTextDefaults: ClipTextConfig = {
  vocab_size: 49408,
  max_position_embeddings: 77,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
  projection_dim: 512,
  eos_token_id: 49407,
};

const fields: { readonly [K in keyof ClipTextConfig]: Field } = {
  vocab_size: "count",
  max_position_embeddings: "count",
  hidden_size: "count",
  intermediate_size: "count",
  num_hidden_layers: "count",
  num_attention_heads: "count",
  hidden_act: ["quick_gelu", "gelu"],
  layer_norm_eps: "number",
  projection_dim: "count",
  eos_token_id: "integer",
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind.
 */
export function parseClipTextConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): ClipTextConfig {
  return checkConfig(values, fields, clipTextDefaults, path, findMisfit);
}

/** The reason why the parts of a configuration do not fit together, if any. */
function findMisfit(
  { hidden_size: size, num_attention_heads: heads }: ClipTextConfig,
): string | undefined {
  return size % heads === 0
    ? undefined
    : `num_attention_heads (${heads}) does not divide hidden_size (${size})`;
}

/** What the encoder makes of texts. */
export interface EncodedText {
  /**
   * By layer, `[batch, tokens, hidden_size]` without the final norm: element 0 are the embeddings,
   * the last but one is what the last layer was given.
   */
  readonly states: readonly tf.Tensor3D[];
  /** The last of them, normed. */
  readonly last: tf.Tensor3D;
  /** The same at the token that ends the text, `[batch, hidden_size]`. */
  readonly pooled: tf.Tensor2D;
  /** Projected into the space of images, `[batch, projection_dim]`, where the checkpoint can. */
  readonly projected?: tf.Tensor2D;
}

function layer(
  scope: Scope,
  config: ClipTextConfig,
  x: tf.Tensor3D,
  causal: tf.Tensor3D,
): tf.Tensor3D {
  const { hidden_size: size, layer_norm_eps: eps } = config;
  const own = scope.at("self_attn");
  const normed = layerNorm(scope.at("layer_norm1"), x, eps);
  const project = (name: string) => linear(own.at(name), normed, size);
  const [query, key, value] = [project("q_proj"), project("k_proj"), project("v_proj")];
  const mixed = attention(query, key, value, config.num_attention_heads, causal);
  x = tf.add(x, linear(own.at("out_proj"), mixed, size));
  const inner = layerNorm(scope.at("layer_norm2"), x, eps);
  const wide = linear(scope.at("mlp", "fc1"), inner, config.intermediate_size);
  const active = config.hidden_act === "gelu" ? gelu(wide) : quickGelu(wide);
  return tf.add(x, linear(scope.at("mlp", "fc2"), active, size));
}

/** The row of each text's `[batch, tokens, size]` that its end stands at. */
function atEnd(config: ClipTextConfig, ids: tf.Tensor2D, states: tf.Tensor3D): tf.Tensor2D {
  const ends = config.eos_token_id === 2 ? ids : tf.equal(ids, config.eos_token_id).toInt();
  const rows = tf.oneHot(tf.argMax(ends, 1).toInt(), ids.shape[1]).toFloat(); // the first of them
  return tf.sum(tf.mul(states, tf.expandDims(rows, 2)), 1);
}

/**
 * Texts as vectors.
 *
 * @param scope Names may begin with `text_model.` or not: checkpoints differ.
 * @param ids `[batch, tokens]` int32, at most `max_position_embeddings` tokens.
 * @param skip Layers left out at the end ("clip skip"); the final norm is never left out.
 */
export function clipText(
  scope: Scope,
  config: ClipTextConfig,
  ids: tf.Tensor2D,
  skip = 0,
): EncodedText {
  const [, tokens] = ids.shape;
  const { hidden_size: size, max_position_embeddings: longest } = config;
  const layers = config.num_hidden_layers - skip;
  if (!Number.isSafeInteger(skip) || skip < 0 || layers < 1) {
    throw new RangeError(
      `Cannot skip ${skip} layers of the text encoder: it must be an integer from 0 to ${
        config.num_hidden_layers - 1
      }`,
    );
  }
  if (tokens > longest) {
    throw new RangeError(`Cannot encode ${tokens} tokens: the text encoder takes ${longest}`);
  }
  const prefixed = scope.has("text_model.final_layer_norm.weight", true);
  const model = prefixed ? scope.at("text_model") : scope;
  const table = (name: string, rows: number) =>
    model.at("embeddings", name).parameter("weight", [rows, size], "same", { normal: 0.02 });
  const words = tf.gather(table("token_embedding", config.vocab_size), ids);
  const places = tf.slice(table("position_embedding", longest), [0, 0], [tokens, size]);
  const states: tf.Tensor3D[] = [tf.add(words, places)];
  const causal = causalBias(tokens);
  let x = states[0] as tf.Tensor3D;
  for (let index = 0; index < layers; index++) {
    x = layer(model.at("encoder", "layers", index), config, x, causal);
    states.push(x);
  }
  const last = layerNorm(model.at("final_layer_norm"), x, config.layer_norm_eps);
  const pooled = atEnd(config, ids, last);
  if (!scope.has("text_projection.weight", false)) return { states, last, pooled };
  const projection = scope.at("text_projection");
  const projected = linear(projection, pooled, config.projection_dim, { bias: false });
  return { states, last, pooled, projected };
}
