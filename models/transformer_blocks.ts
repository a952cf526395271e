/**
 * Transformers in diffusion models: blocks of attention and a feed-forward part (Vaswani et al.
 * 2017), and the two ways in which a UNet's pixels attend to a text.
 *
 * @module
 */
import * as tf from "tfjs";
import { attention, conv, gelu, groupNorm, layerNorm, linear } from "./layers.ts";
import type { Scope } from "./scope.ts";
import { toTokens } from "./unet_blocks.ts";

/** What pixels attend to. */
export interface Context {
  /** `[batch, tokens, size]`. */
  readonly text: tf.Tensor3D;
  /** Added to the scores of its tokens, `[batch, 1, tokens]`. */
  readonly bias?: tf.Tensor3D | undefined;
}

/** Attention of `x` to a context of its own size or another, with its four projections. */
function attend(
  scope: Scope,
  x: tf.Tensor3D,
  { text, bias }: Context,
  { heads, biases }: { readonly heads: number; readonly biases: boolean },
): tf.Tensor3D {
  const size = x.shape[2];
  const project = (name: string, x: tf.Tensor3D) =>
    linear(scope.at(name), x, size, { bias: biases });
  const [query, key, value] = [project("to_q", x), project("to_k", text), project("to_v", text)];
  const isPlain = text === x && bias === undefined; // pixels to pixels, which guidances look into
  const mixed = isPlain && scope.attend !== undefined
    ? scope.attend(query, key, value, heads)
    : attention(query, key, value, heads, bias);
  return linear(scope.at("to_out", 0), mixed, size, { zero: true });
}

/** Options of {@linkcode transformerBlock}. */
export interface BlockOptions {
  readonly heads: number;
  /** What its second attention is to; without, there is no second. */
  readonly context?: Context | undefined;
  /** Whether its first attention is to the context, too, and not to its own tokens. */
  readonly onlyCross?: boolean;
  /** Added to the scores of the first attention, where that is to its own tokens. */
  readonly bias?: tf.Tensor3D;
  /** `geglu` (Shazeer 2020, equation 6) by default. */
  readonly activation?: "geglu" | "gelu";
  /** Whether query, key and value have biases; false by default. */
  readonly biases?: boolean;
}

/** Attention to itself, attention to a context and a feed-forward part, each with norm and residual. */
export function transformerBlock(
  scope: Scope,
  x: tf.Tensor3D,
  options: BlockOptions,
): tf.Tensor3D {
  const { heads, context, onlyCross = false, bias, activation = "geglu", biases = false } = options;
  const size = x.shape[2];
  const normed = layerNorm(scope.at("norm1"), x);
  const first = onlyCross && context !== undefined ? context : { text: normed, bias };
  x = tf.add(x, attend(scope.at("attn1"), normed, first, { heads, biases }));
  if (context !== undefined) {
    const query = layerNorm(scope.at("norm2"), x);
    x = tf.add(x, attend(scope.at("attn2"), query, context, { heads, biases }));
  }
  const inner = layerNorm(scope.at("norm3"), x);
  const part = scope.at("ff", "net");
  const gated = activation === "geglu";
  const wide = linear(part.at(0, "proj"), inner, gated ? 8 * size : 4 * size);
  return tf.add(x, linear(part.at(2), gated ? geglu(wide) : gelu(wide), size, { zero: true }));
}

function geglu(x: tf.Tensor3D): tf.Tensor3D {
  const [value, gate] = tf.split(x, 2, 2) as [tf.Tensor3D, tf.Tensor3D];
  return tf.mul(value, gelu(gate));
}

/** How a UNet's transformers are built. */
export interface TransformerOptions {
  readonly heads: number;
  /** Blocks, one after another. */
  readonly layers: number;
  readonly groups: number;
  /** Whether its projections are stored as linear layers and not as convolutions. */
  readonly linearProjection: boolean;
  readonly onlyCross: boolean;
}

const EPS = 1e-6; // of the norm before a transformer

/** Blocks of attention over the pixels and a text, around them a residual. */
export function transformer2d(
  scope: Scope,
  x: tf.Tensor4D,
  context: Context,
  { heads, layers, groups, linearProjection, onlyCross }: TransformerOptions,
): tf.Tensor4D {
  const channels = x.shape[3];
  const normed = groupNorm(scope.at("norm"), x, groups, EPS);
  const into = scope.at("proj_in");
  let h = linearProjection
    ? linear(into, toTokens(normed), channels)
    : toTokens(conv(into, normed, channels, { kernel: 1 }));
  for (let layer = 0; layer < layers; layer++) {
    h = transformerBlock(scope.at("transformer_blocks", layer), h, { heads, context, onlyCross });
  }
  const out = scope.at("proj_out");
  const projected = linearProjection
    ? tf.reshape(linear(out, h, channels, { zero: true }), x.shape)
    : conv(out, tf.reshape(h, x.shape), channels, { kernel: 1, zero: true });
  return tf.add(x, projected);
}

/** How a UNet's joint attention is built. */
export interface JointAttentionOptions {
  /** Channels of one head. */
  readonly headSize: number;
  readonly groups: number;
  /** Whether pixels attend to the text alone. */
  readonly onlyCross: boolean;
}

/**
 * Attention of pixels to the text and to each other in one softmax (GLIDE: Nichol et al. 2022,
 * section 2.3), with a residual.
 */
export function jointAttention(
  scope: Scope,
  x: tf.Tensor4D,
  { text, bias }: Context,
  { headSize, groups, onlyCross }: JointAttentionOptions,
): tf.Tensor4D {
  const channels = x.shape[3];
  const tokens = toTokens(groupNorm(scope.at("group_norm"), x, groups, 1e-5));
  const keysOf = (own: string, added: string): tf.Tensor3D => {
    const ofText = linear(scope.at(added), text, channels);
    return onlyCross ? ofText : tf.concat([ofText, linear(scope.at(own), tokens, channels)], 1);
  };
  const query = linear(scope.at("to_q"), tokens, channels);
  const [key, value] = [keysOf("to_k", "add_k_proj"), keysOf("to_v", "add_v_proj")];
  const around: [number, number][] = [[0, 0], [0, 0], [0, onlyCross ? 0 : tokens.shape[1]]];
  const wide = bias && tf.pad(bias, around); // pixels are never hidden
  const mixed = attention(query, key, value, channels / headSize, wide);
  const out = linear(scope.at("to_out", 0), mixed, channels, { zero: true });
  return tf.add(x, tf.reshape(out, x.shape));
}
