/**
 * What all blocks of a UNet are made of: residual layers and self-attention.
 *
 * @module
 */
import * as tf from "tfjs";
import { attention, conv, downsample, groupNorm, linear, silu, upsample } from "./layers.ts";
import type { Scope } from "./scope.ts";
import type { UNet2DConfig } from "./unet_2d.ts";

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

/** Norm, SiLU, convolution, twice, with the timestep between them, around a shortcut. */
export function resnet(
  scope: Scope,
  config: UNet2DConfig,
  x: tf.Tensor4D,
  time: tf.Tensor2D, // SiLU of the embedding
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
  const scaleShift = config.resnet_time_scale_shift === "scale_shift";
  const projected = linear(scope.at("time_emb_proj"), time, scaleShift ? 2 * channels : channels);
  const wide = tf.reshape(projected, [-1, 1, 1, scaleShift ? 2 * channels : channels]);
  if (scaleShift) {
    const [scale, shift] = tf.split(wide, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
    h = groupNorm(scope.at("norm2"), h, groupsOut, eps);
    h = tf.add(tf.mul(h, tf.add(scale, 1)), shift);
  } else {
    h = groupNorm(scope.at("norm2"), tf.add(h, wide) as tf.Tensor4D, groupsOut, eps);
  }
  h = conv(scope.at("conv2"), silu(h), channels, { zero: true });
  if (shortcut) x = conv(scope.at("conv_shortcut"), x, channels, { kernel: 1 });
  const sum = tf.add(x, h) as tf.Tensor4D;
  return outputScale === 1 ? sum : tf.div(sum, outputScale);
}

/** Self-attention over the pixels, with its norm (where it has one) and a residual. */
export function selfAttention(
  scope: Scope,
  config: UNet2DConfig,
  x: tf.Tensor4D,
  groups: number | null,
  outputScale = 1,
): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const normed = groups === null
    ? x
    : groupNorm(scope.at("group_norm"), x, groups, config.norm_eps);
  const tokens = tf.reshape(normed, [batch, height * width, channels]) as tf.Tensor3D;
  const project = (name: string) => linear(scope.at(name), tokens, channels);
  const heads = channels / (config.attention_head_dim ?? channels);
  const attend = scope.attend ?? attention;
  const mixed = attend(project("to_q"), project("to_k"), project("to_v"), heads);
  const out = linear(scope.at("to_out", 0), mixed, channels, { zero: true });
  const sum = tf.add(x, tf.reshape(out, x.shape)) as tf.Tensor4D;
  return outputScale === 1 ? sum : tf.div(sum, outputScale);
}
