/**
 * The noisy-image classifier of ADM (Dhariwal and Nichol 2021, section 4.1): the first half of a
 * UNet and a pool, with the constructor arguments and tensor names of OpenAI's `EncoderUNetModel`.
 *
 * @module
 */
import * as tf from "tfjs";
import {
  attention,
  conv,
  downsample,
  groupNorm,
  linear,
  silu,
  timestepEmbedding,
} from "./layers.ts";
import { checkConfig, type Field } from "./config.ts";
import type { Scope } from "./scope.ts";

/** How features become logits. */
export type Pool = (typeof POOLS)[number];
const POOLS = ["attention", "adaptive", "spatial", "spatial_v2"] as const;

/** A `config.json` of class `EncoderUNetModel`: the constructor's arguments. */
export interface EncoderUNetConfig {
  readonly image_size: number;
  readonly in_channels: number;
  /** A multiple of 32, as its norms have 32 groups. */
  readonly model_channels: number;
  /** The number of classes. */
  readonly out_channels: number;
  readonly num_res_blocks: number;
  /** Down-sampling rates at which attention is used. */
  readonly attention_resolutions: readonly number[];
  readonly channel_mult: readonly number[];
  readonly conv_resample: boolean;
  readonly num_heads: number;
  /** Channels of one head; -1 takes `num_heads` instead. */
  readonly num_head_channels: number;
  readonly use_scale_shift_norm: boolean;
  readonly resblock_updown: boolean;
  readonly use_new_attention_order: boolean;
  readonly pool: Pool;
}

/** What the constructor assumes where an argument is absent. */
export const encoderUNetDefaults: EncoderUNetConfig = {
  image_size: 64,
  in_channels: 3,
  model_channels: 128,
  out_channels: 1000,
  num_res_blocks: 2,
  attention_resolutions: [2, 4, 8],
  channel_mult: [1, 2, 4, 8],
  conv_resample: true,
  num_heads: 1,
  num_head_channels: -1,
  use_scale_shift_norm: false,
  resblock_updown: false,
  use_new_attention_order: false,
  pool: "adaptive",
};

const fields: { readonly [K in keyof EncoderUNetConfig]: Field } = {
  image_size: "count",
  in_channels: "count",
  model_channels: "count",
  out_channels: "count",
  num_res_blocks: "count",
  attention_resolutions: { each: "count" },
  channel_mult: { each: "number" },
  conv_resample: "flag",
  num_heads: "count",
  num_head_channels: "integer",
  use_scale_shift_norm: "flag",
  resblock_updown: "flag",
  use_new_attention_order: "flag",
  pool: POOLS,
};

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
  const config = checkConfig(values, fields, encoderUNetDefaults, path);
  const reason = findMisfit(config);
  if (reason !== undefined) throw new TypeError(`Cannot use "${path}": ${reason}`);
  return config;
}

const [GROUPS, EPS] = [32, 1e-5];
const HIDDEN = 2048; // of the spatial pools

/** The channels of each level. */
function widthsOf({ model_channels: base, channel_mult: multiples }: EncoderUNetConfig): number[] {
  return multiples.map((multiple) => Math.trunc(multiple * base));
}

/** The reason why the parts of a configuration do not fit together, if any. */
function findMisfit(config: EncoderUNetConfig): string | undefined {
  const { image_size: edge, num_head_channels: size, num_heads: heads } = config;
  const widths = widthsOf(config);
  if (widths.length === 0) return "channel_mult is empty";
  const odd = widths.find((width) => width < GROUPS || width % GROUPS !== 0);
  if (odd !== undefined) {
    return `channel_mult times model_channels is ${odd}, it must be a multiple of ${GROUPS}`;
  }
  if (size !== -1 && size < 1) return `num_head_channels is ${size}, it must be at least 1, or -1`;
  const attends = (level: number) =>
    config.attention_resolutions.includes(2 ** level) || level === widths.length - 1;
  const [name, divisor] = size === -1 ? ["num_heads", heads] : ["num_head_channels", size];
  const uneven = widths.find((width, level) => attends(level) && width % divisor !== 0);
  if (uneven !== undefined) {
    return `${name} (${divisor}) does not divide ${uneven}, the channels of a level with attention`;
  }
  const rate = 2 ** (widths.length - 1);
  if (edge % rate !== 0) {
    return `image_size (${edge}) is not divisible by ${rate}, the rate of its down-sampling`;
  }
  return undefined;
}

function residual(
  scope: Scope,
  config: EncoderUNetConfig,
  x: tf.Tensor4D,
  time: tf.Tensor2D, // SiLU of the embedding
  channels: number,
  down = false,
): tf.Tensor4D {
  let h = silu(groupNorm(scope.at("in_layers", 0), x, GROUPS, EPS));
  if (down) [h, x] = [downsample(h), downsample(x)];
  h = conv(scope.at("in_layers", 2), h, channels);
  const size = config.use_scale_shift_norm ? 2 * channels : channels;
  const wide = tf.reshape(linear(scope.at("emb_layers", 1), time, size), [-1, 1, 1, size]);
  const norm = scope.at("out_layers", 0);
  if (config.use_scale_shift_norm) {
    const [scale, shift] = tf.split(wide, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
    h = tf.add(tf.mul(groupNorm(norm, h, GROUPS, EPS), tf.add(scale, 1)), shift);
  } else {
    h = groupNorm(norm, tf.add(h, wide) as tf.Tensor4D, GROUPS, EPS);
  }
  h = conv(scope.at("out_layers", 3), silu(h), channels, { zero: true });
  const skip = x.shape[3] === channels
    ? x
    : conv(scope.at("skip_connection"), x, channels, { kernel: 1 });
  return tf.add(skip, h);
}

/** Query, key and value from one projection `[batch, tokens, 3 * channels]`. */
function splitHeads(qkv: tf.Tensor3D, heads: number, newOrder: boolean) {
  if (newOrder) return tf.split(qkv, 3, 2) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
  // The legacy order keeps each head's three parts together.
  const [batch, tokens, width] = qkv.shape;
  const size = width / heads / 3;
  const parts = tf.split(tf.reshape(qkv, [batch, tokens, heads, 3, size]), 3, 3);
  return parts.map((part) => tf.reshape(part, [batch, tokens, heads * size])) as [
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
  ];
}

function headsOf(config: EncoderUNetConfig, channels: number): number {
  const { num_head_channels: size, num_heads: heads } = config;
  return size === -1 ? heads : channels / size;
}

function selfAttention(scope: Scope, config: EncoderUNetConfig, x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const heads = headsOf(config, channels);
  const normed = groupNorm(scope.at("norm"), x, GROUPS, EPS);
  const tokens = tf.reshape(normed, [batch, height * width, channels]) as tf.Tensor3D;
  const qkv = linear(scope.at("qkv"), tokens, 3 * channels, { pointwise: true });
  const [query, key, value] = splitHeads(qkv, heads, config.use_new_attention_order);
  const mixed = attention(query, key, value, heads);
  const out = linear(scope.at("proj_out"), mixed, channels, { pointwise: true, zero: true });
  return tf.add(x, tf.reshape(out, x.shape));
}

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
  const { model_channels: base, pool } = config;
  const widths = widthsOf(config);
  const embedded = timestepEmbedding(t, base, true, 0);
  const hidden = silu(linear(scope.at("time_embed", 0), embedded, 4 * base));
  const time = silu(linear(scope.at("time_embed", 2), hidden, 4 * base));
  const features: tf.Tensor2D[] = [];
  let index = 0;
  const block = () => scope.at("input_blocks", index);
  const next = (h: tf.Tensor4D) => {
    if (pool.startsWith("spatial")) features.push(tf.mean(h, [1, 2]));
    index++;
    return h;
  };
  let h = next(conv(block().at(0), x, widths[0] ?? base));
  let rate = 1; // of down-sampling
  for (const [level, channels] of widths.entries()) {
    for (let layer = 0; layer < config.num_res_blocks; layer++) {
      h = residual(block().at(0), config, h, time, channels);
      if (config.attention_resolutions.includes(rate)) h = selfAttention(block().at(1), config, h);
      h = next(h);
    }
    if (level === widths.length - 1) break;
    h = next(
      config.resblock_updown
        ? residual(block().at(0), config, h, time, channels, true)
        : config.conv_resample
        ? conv(block().at(0, "op"), h, channels, { stride: 2 })
        : downsample(h),
    );
    rate *= 2;
  }
  const middle = scope.at("middle_block");
  const width = h.shape[3];
  h = residual(middle.at(0), config, h, time, width);
  h = selfAttention(middle.at(1), config, h);
  const map = next(residual(middle.at(2), config, h, time, width));
  return { map, ...readOut(scope.at("out"), config, map, features) };
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
