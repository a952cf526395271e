/**
 * The noisy-image classifier of ADM (Dhariwal and Nichol 2021, section 4.1): the first half of a
 * UNet and a pool, with the constructor arguments and tensor names of OpenAI's `EncoderUNetModel`.
 *
 * @module
 */
import * as tf from "tfjs";
import { attention, conv, groupNorm, linear, silu } from "./layers.ts";
import { checkConfig, type Field } from "./config.ts";
import {
  embedTime,
  EPS,
  findMisfit,
  firstHalf,
  GROUPS,
  type OpenAIConfig,
  openaiDefaults,
  openaiFields,
  splitHeads,
} from "./openai_blocks.ts";
import type { Scope } from "./scope.ts";

/** How features become logits. */
export type Pool = (typeof POOLS)[number];
const POOLS = ["attention", "adaptive", "spatial", "spatial_v2"] as const;

/** A `config.json` of class `EncoderUNetModel`; `out_channels` is the number of classes. */
export interface EncoderUNetConfig extends OpenAIConfig {
  readonly pool: Pool;
}

/** What the constructor assumes where an argument is absent. */
export const encoderUNetDefaults: EncoderUNetConfig = {
  ...openaiDefaults,
  out_channels: 1000,
  pool: "adaptive",
};

const fields: { readonly [K in keyof EncoderUNetConfig]: Field } = { ...openaiFields, pool: POOLS };

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind.
 */
export function parseEncoderUNetConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): EncoderUNetConfig {
  return checkConfig(values, fields, encoderUNetDefaults, path, findMisfit);
}

const HIDDEN = 2048; // of the spatial pools

/** CLIP's attention pool: the mean token asks all tokens; always in the new order of heads. */
function attentionPool(scope: Scope, config: EncoderUNetConfig, x: tf.Tensor4D): Read {
  const [batch, height, width, channels] = x.shape;
  const count = height * width;
  const pixels = tf.reshape(x, [batch, count, channels]) as tf.Tensor3D;
  const position = scope.parameter("positional_embedding", [count + 1, channels], "matrix", {
    normal: 1 / Math.sqrt(channels),
  });
  const tokens = tf.add(
    tf.concat([tf.mean(pixels, 1, true) as tf.Tensor3D, pixels], 1),
    position,
  ) as tf.Tensor3D;
  const qkv = linear(scope.at("qkv_proj"), tokens, 3 * channels, { pointwise: true });
  const heads = config.num_head_channels === -1 ? 1 : channels / config.num_head_channels;
  const [query, key, value] = splitHeads(qkv, heads, true);
  const first = tf.slice(query, [0, 0, 0], [batch, 1, channels]);
  const mixed = attention(first, key, value, heads);
  const logits = linear(scope.at("c_proj"), mixed, config.out_channels, { pointwise: true });
  return {
    features: tf.reshape(mixed, [batch, channels]),
    logits: tf.reshape(logits, [batch, config.out_channels]),
  };
}

/** The last layer: what it reads, `[batch, width]`, and the logits that it makes of it. */
interface Read {
  readonly features: tf.Tensor2D;
  readonly logits: tf.Tensor2D;
}

/** What an encoder sees in images. */
export interface Encoded extends Read {
  /** The last map before the pool, `[batch, height, width, channel]`. */
  readonly map: tf.Tensor4D;
}

/**
 * The class logits of noisy images, see {@linkcode encode}.
 *
 * @returns `[batch, out_channels]`, not yet a softmax.
 */
export function encoderUNet(
  scope: Scope,
  config: EncoderUNetConfig,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
): tf.Tensor2D {
  return encode(scope, config, x, t).logits;
}

/**
 * The class logits of noisy images and the features behind them.
 *
 * @param x `[batch, height, width, in_channels]`.
 * @param t `[batch]` float32, the training timesteps that x is at.
 */
export function encode(
  scope: Scope,
  config: EncoderUNetConfig,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
): Encoded {
  const time = silu(embedTime(scope, config.model_channels, t));
  const { maps, middle: map } = firstHalf(scope, config, x, time);
  const spatial = config.pool.startsWith("spatial");
  const means = spatial ? [...maps, map].map((map): tf.Tensor2D => tf.mean(map, [1, 2])) : [];
  return { map, ...readOut(scope.at("out"), config, map, means) };
}

/** The pool and the last layer; `means` are those of all maps, which the spatial pools read. */
function readOut(
  out: Scope,
  config: EncoderUNetConfig,
  map: tf.Tensor4D,
  means: readonly tf.Tensor2D[],
): Read {
  const { pool, out_channels: classes } = config;
  if (pool === "spatial") {
    const features = tf.relu(linear(out.at(0), tf.concat([...means], 1), HIDDEN));
    return { features, logits: linear(out.at(2), features, classes) };
  }
  if (pool === "spatial_v2") {
    const all = linear(out.at(0), tf.concat([...means], 1), HIDDEN);
    const normed = groupNorm(out.at(1), tf.reshape(all, [-1, 1, HIDDEN]), GROUPS, EPS);
    const features: tf.Tensor2D = silu(tf.reshape(normed, [-1, HIDDEN]));
    return { features, logits: linear(out.at(3), features, classes) };
  }
  const h = silu(groupNorm(out.at(0), map, GROUPS, EPS));
  if (pool === "attention") return attentionPool(out.at(2), config, h);
  const mean = tf.mean(h, [1, 2], true) as tf.Tensor4D;
  const logits = conv(out.at(3), mean, classes, { kernel: 1, zero: true });
  return {
    features: tf.reshape(mean, [-1, mean.shape[3]]),
    logits: tf.reshape(logits, [-1, classes]),
  };
}

/**
 * The gradient of log p(label | x, t) by x, for each image its own: log p is summed over the batch,
 * and no image's logits depend on another's pixels (ADM, Algorithms 1 and 2).
 *
 * @param labels `[batch]` int32.
 * @returns Shaped like x.
 */
export function classifierGradient(
  scope: Scope,
  config: EncoderUNetConfig,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels: tf.Tensor1D,
): tf.Tensor4D {
  const chosen = tf.oneHot(labels, config.out_channels).toFloat();
  const logProbability = (x: tf.Tensor): tf.Scalar => {
    const logits = encoderUNet(scope, config, x as tf.Tensor4D, t);
    return tf.sum(tf.mul(tf.logSoftmax(logits), chosen)) as tf.Scalar;
  };
  return tf.grad(logProbability)(x) as tf.Tensor4D;
}
