/**
 * What all blocks of a UNet are made of: residual layers and self-attention.
 *
 * @module
 */
import * as tf from "tfjs";
import { attention, conv, downsample, groupNorm, linear, silu, upsample } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** What blocks read of a network's configuration. */
export interface BlockConfig {
  /** Null lets the groups follow from the channels. */
  readonly norm_num_groups: number | null;
  readonly norm_eps: number;
  readonly resnet_time_scale_shift: "default" | "scale_shift";
}

/** How many groups a norm over this many channels has where no configuration says so. */
export function groupsOf(channels: number): number {
  return Math.max(1, Math.min(channels >> 2, 32));
}

/** Options of {@linkcode resnet}. */
export interface ResnetOptions {
  /** Changes height and width after the first norm and on the shortcut, such as by two. */
  readonly resample?: "up" | "down" | ((x: tf.Tensor4D) => tf.Tensor4D) | undefined;
  /** What the sum with the shortcut is divided by; 1 by default. */
  readonly outputScale?: number;
  /** Groups of the first norm; those of the configuration by default. */
  readonly groups?: number;
  /** Groups of the second norm; those of the configuration by default. */
  readonly groupsOut?: number;
  /** Convolves the shortcut also where the channels stay the same. */
  readonly shortcut?: boolean;
}

/** Norm, SiLU, convolution, twice, with the timestep (if any) between them, around a shortcut. */
export function resnet(
  scope: Scope,
  config: BlockConfig,
  x: tf.Tensor4D,
  time: tf.Tensor2D | undefined, // SiLU of the embedding
  channels: number,
  options: ResnetOptions = {},
): tf.Tensor4D {
  const { norm_eps: eps, norm_num_groups: own } = config;
  const { resample, outputScale = 1, shortcut = x.shape[3] !== channels } = options;
  const { groups = own ?? groupsOf(x.shape[3]), groupsOut = own ?? groupsOf(channels) } = options;
  const resize = resample === "up" ? upsample : resample === "down" ? downsample : resample;
  let h = silu(groupNorm(scope.at("norm1"), x, groups, eps));
  if (resize) [h, x] = [resize(h), resize(x)];
  h = conv(scope.at("conv1"), h, channels);
  const norm = (h: tf.Tensor4D) => groupNorm(scope.at("norm2"), h, groupsOut, eps);
  if (time === undefined) {
    h = norm(h);
  } else {
    const scaleShift = config.resnet_time_scale_shift === "scale_shift";
    const size = scaleShift ? 2 * channels : channels;
    const wide = tf.reshape(linear(scope.at("time_emb_proj"), time, size), [-1, 1, 1, size]);
    if (scaleShift) {
      const [scale, shift] = tf.split(wide, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
      h = tf.add(tf.mul(norm(h), tf.add(scale, 1)), shift);
    } else {
      h = norm(tf.add(h, wide));
    }
  }
  h = conv(scope.at("conv2"), silu(h), channels, { zero: true });
  if (shortcut) x = conv(scope.at("conv_shortcut"), x, channels, { kernel: 1 });
  const sum = tf.add(x, h) as tf.Tensor4D;
  return outputScale === 1 ? sum : tf.div(sum, outputScale);
}

/** Options of {@linkcode selfAttention}. */
export interface SelfAttentionOptions {
  /** Channels of one head; null is one head over all channels. */
  readonly headSize: number | null;
  /** Groups of its norm; null leaves the norm out. */
  readonly groups: number | null;
  /** What the sum with the input is divided by; 1 by default. */
  readonly outputScale?: number;
}

/** Self-attention over the pixels, with its norm (where it has one) and a residual. */
export function selfAttention(
  scope: Scope,
  config: BlockConfig,
  x: tf.Tensor4D,
  { headSize, groups, outputScale = 1 }: SelfAttentionOptions,
): tf.Tensor4D {
  const channels = x.shape[3];
  const normed = groups === null
    ? x
    : groupNorm(scope.at("group_norm"), x, groups, config.norm_eps);
  const tokens = toTokens(normed);
  const project = (name: string) => linear(scope.at(name), tokens, channels);
  const heads = channels / (headSize ?? channels);
  const attend = scope.attend ?? attention;
  const mixed = attend(project("to_q"), project("to_k"), project("to_v"), heads);
  const out = linear(scope.at("to_out", 0), mixed, channels, { zero: true });
  const sum = tf.add(x, tf.reshape(out, x.shape)) as tf.Tensor4D;
  return outputScale === 1 ? sum : tf.div(sum, outputScale);
}

/** Pixels as tokens: `[batch, height * width, channel]`. */
export function toTokens(x: tf.Tensor4D): tf.Tensor3D {
  const [batch, height, width, channels] = x.shape;
  return tf.reshape(x, [batch, height * width, channels]);
}

/** Halves height and width by a convolution; `padding` as configurations have it. */
export function downsampleConv(scope: Scope, x: tf.Tensor4D, padding: number): tf.Tensor4D {
  // diffusers pads below and to the right only where it is told to pad nothing
  const around = padding === 0 ? [0, 1] as const : padding;
  return conv(scope.at("conv"), x, x.shape[3], { stride: 2, padding: around });
}

/** Doubles height and width (or brings them to `size`), then convolves. */
export function upsampleConv(
  scope: Scope,
  x: tf.Tensor4D,
  size?: readonly [number, number],
): tf.Tensor4D {
  return conv(scope.at("conv"), upsample(x, size), x.shape[3]);
}

/** The two linear layers, `linear_1` and `linear_2`, behind every embedding of a UNet. */
export function embeddingLayers(
  scope: Scope,
  x: tf.Tensor2D,
  hidden: number,
  out = hidden,
): tf.Tensor2D {
  return linear(scope.at("linear_2"), silu(linear(scope.at("linear_1"), x, hidden)), out);
}
