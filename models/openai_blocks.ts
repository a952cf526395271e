/**
 * What the networks of guided-diffusion (Dhariwal and Nichol 2021) share: residual blocks,
 * self-attention, and the first half of a UNet, with OpenAI's arguments and tensor names.
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
  upsample,
} from "./layers.ts";
import type { Field } from "./config.ts";
import type { Scope } from "./scope.ts";

/** The constructor's arguments that the networks have in common. */
export interface OpenAIConfig {
  /** Edge of the images in pixels. */
  readonly image_size: number;
  readonly in_channels: number;
  /** A multiple of 32, as its norms have 32 groups. */
  readonly model_channels: number;
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
}

/** What the constructors assume where an argument is absent. */
export const openaiDefaults = {
  image_size: 64,
  in_channels: 3,
  model_channels: 128,
  num_res_blocks: 2,
  attention_resolutions: [2, 4, 8],
  channel_mult: [1, 2, 4, 8],
  conv_resample: true,
  num_heads: 1,
  num_head_channels: -1,
  use_scale_shift_norm: false,
  resblock_updown: false,
  use_new_attention_order: false,
} as const satisfies Omit<OpenAIConfig, "out_channels">;

/** What each argument may be. */
export const openaiFields: { readonly [K in keyof OpenAIConfig]: Field } = {
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
};

/** Groups of every norm, and what is added to variances in it. */
export const [GROUPS, EPS] = [32, 1e-5];

/** The channels of each level. */
export function widthsOf(
  { model_channels: base, channel_mult: multiples }: OpenAIConfig,
): number[] {
  return multiples.map((multiple) => Math.trunc(multiple * base));
}

/** The reason why the parts of a configuration do not fit together, if any. */
export function findMisfit(config: OpenAIConfig): string | undefined {
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

/** Norm, SiLU, convolution, twice, with the timestep between them, around a shortcut. */
export function residual(
  scope: Scope,
  config: OpenAIConfig,
  x: tf.Tensor4D,
  time: tf.Tensor2D, // SiLU of the embedding
  channels: number,
  resample?: "up" | "down",
): tf.Tensor4D {
  let h = silu(groupNorm(scope.at("in_layers", 0), x, GROUPS, EPS));
  const resize = resample && { up: upsample, down: downsample }[resample];
  if (resize) [h, x] = [resize(h), resize(x)];
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
export function splitHeads(qkv: tf.Tensor3D, heads: number, newOrder: boolean) {
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

/** How many heads attention over this many channels has. */
function headsOf(config: OpenAIConfig, channels: number): number {
  const { num_head_channels: size, num_heads: heads } = config;
  return size === -1 ? heads : channels / size;
}

/** Self-attention over the pixels, with its norm and a residual. */
export function selfAttention(scope: Scope, config: OpenAIConfig, x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const heads = headsOf(config, channels);
  const normed = groupNorm(scope.at("norm"), x, GROUPS, EPS);
  const tokens = tf.reshape(normed, [batch, height * width, channels]) as tf.Tensor3D;
  const qkv = linear(scope.at("qkv"), tokens, 3 * channels, { pointwise: true });
  const [query, key, value] = splitHeads(qkv, heads, config.use_new_attention_order);
  const mixed = (scope.attend ?? attention)(query, key, value, heads);
  const out = linear(scope.at("proj_out"), mixed, channels, { pointwise: true, zero: true });
  return tf.add(x, tf.reshape(out, x.shape));
}

/** The embedding of timesteps, `[batch, 4 * model_channels]`, before its last SiLU. */
export function embedTime(scope: Scope, base: number, t: tf.Tensor1D): tf.Tensor2D {
  const embedded = timestepEmbedding(t, base, true, 0);
  const hidden = silu(linear(scope.at("time_embed", 0), embedded, 4 * base));
  return linear(scope.at("time_embed", 2), hidden, 4 * base);
}

/** The maps that the first half of a UNet makes, in order, and that of its middle. */
export interface FirstHalf {
  readonly maps: tf.Tensor4D[];
  readonly middle: tf.Tensor4D;
}

/** The first half of a UNet and its middle. */
export function firstHalf(
  scope: Scope,
  config: OpenAIConfig,
  x: tf.Tensor4D,
  time: tf.Tensor2D, // SiLU of the embedding
): FirstHalf {
  const widths = widthsOf(config);
  const maps: tf.Tensor4D[] = [];
  const block = () => scope.at("input_blocks", maps.length);
  let h = conv(block().at(0), x, widths[0] ?? 0);
  maps.push(h);
  for (const [level, channels] of widths.entries()) {
    for (let layer = 0; layer < config.num_res_blocks; layer++) {
      h = residual(block().at(0), config, h, time, channels);
      if (attendsAt(config, level)) h = selfAttention(block().at(1), config, h);
      maps.push(h);
    }
    if (level === widths.length - 1) break;
    h = config.resblock_updown
      ? residual(block().at(0), config, h, time, channels, "down")
      : config.conv_resample
      ? conv(block().at(0, "op"), h, channels, { stride: 2 })
      : downsample(h);
    maps.push(h);
  }
  const middle = scope.at("middle_block");
  const width = h.shape[3];
  h = residual(middle.at(0), config, h, time, width);
  h = selfAttention(middle.at(1), config, h);
  return { maps, middle: residual(middle.at(2), config, h, time, width) };
}

/** Whether the blocks of a level have attention. */
export function attendsAt({ attention_resolutions: rates }: OpenAIConfig, level: number): boolean {
  return rates.includes(2 ** level);
}
