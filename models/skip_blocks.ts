/**
 * The blocks of NCSN++ (Song et al. 2021, "Score-based generative modeling through stochastic
 * differential equations", appendix H): beside the features runs an image, smaller at each level on
 * the way down, where it is added to the features, and drawn level by level on the way up.
 *
 * @module
 */
import * as tf from "tfjs";
import { conv, downsample, groupNorm, silu, upsample } from "./layers.ts";
import type { Scope } from "./scope.ts";
import { groupsOf, resnet, selfAttention } from "./unet_blocks.ts";
import type { UNet2DConfig } from "./unet_2d.ts";

/** The groups of the attention's norm, whatever its channels. */
export const ATTENTION_GROUPS = 32;

const outputScale = Math.SQRT2;

/** True for the types of blocks here. */
export function isSkip(type: string | undefined): boolean {
  return type !== undefined && /^(Attn)?Skip(Down|Up)Block2D$/.test(type);
}

/** A sum of three neighbors along an axis, weighted 1, 2, 1; there are zeros around. */
function blurAlong(x: tf.Tensor4D, axis: 1 | 2): tf.Tensor4D {
  const around: [number, number][] = [[0, 0], [0, 0], [0, 0], [0, 0]];
  around[axis] = [1, 1];
  const padded = tf.pad(x, around);
  const shifted = (by: number) => {
    const begin = [0, 0, 0, 0];
    begin[axis] = by;
    return tf.slice(padded, begin, x.shape);
  };
  return tf.add(tf.add(shifted(0), shifted(2)), tf.mul(x, 2));
}

/** [1, 2, 1] / 4 in both directions; with a repetition or a mean of two pixels it is FIR [1, 3, 3, 1]. */
function blur(x: tf.Tensor4D): tf.Tensor4D {
  return tf.div(blurAlong(blurAlong(x, 1), 2), 16);
}

/** Doubles height and width with the FIR filter [1, 3, 3, 1] (StyleGAN 2, appendix B). */
export function firUpsample(x: tf.Tensor4D): tf.Tensor4D {
  return blur(upsample(x));
}

/** Halves height and width with the FIR filter [1, 3, 3, 1]. */
export function firDownsample(x: tf.Tensor4D): tf.Tensor4D {
  return downsample(blur(x));
}

interface Level<I> {
  readonly h: tf.Tensor4D;
  readonly image: I;
  readonly time: tf.Tensor2D; // SiLU of the embedding
  readonly width: number;
  readonly attends: boolean;
  /** True for the block after which the resolution stays. */
  readonly last: boolean;
  /** Features for the way up; the way down pushes them, the way up pops them. */
  readonly skips: tf.Tensor4D[];
}

/** `SkipDownBlock2D` and `AttnSkipDownBlock2D`: features and image at the next level. */
export function skipDown(
  scope: Scope,
  config: UNet2DConfig,
  { h, image, time, width, attends, last, skips }: Level<tf.Tensor4D>,
): [tf.Tensor4D, tf.Tensor4D] {
  const attention = { headSize: config.attention_head_dim, groups: ATTENTION_GROUPS, outputScale };
  const groupsOut = groupsOf(width);
  for (let layer = 0; layer < config.layers_per_block; layer++) {
    const groups = groupsOf(h.shape[3]);
    const part = scope.at("resnets", layer);
    h = resnet(part, config, h, time, width, { groups, groupsOut, outputScale });
    if (attends) {
      h = selfAttention(scope.at("attentions", layer), config, h, attention);
    }
    skips.push(h);
  }
  if (last) return [h, image];
  h = resnet(scope.at("resnet_down"), config, h, time, width, {
    groups: groupsOut,
    groupsOut,
    outputScale,
    resample: firDownsample,
    shortcut: true,
  });
  image = firDownsample(image);
  h = tf.add(conv(scope.at("skip_conv"), image, width, { kernel: 1 }), h);
  skips.push(h);
  return [h, image];
}

/** `SkipUpBlock2D` and `AttnSkipUpBlock2D`: features and image at the next level. */
export function skipUp(
  scope: Scope,
  config: UNet2DConfig,
  { h, image, time, width, attends, last, skips }: Level<tf.Tensor4D | undefined>,
): [tf.Tensor4D, tf.Tensor4D | undefined] {
  const attention = { headSize: config.attention_head_dim, groups: ATTENTION_GROUPS, outputScale };
  const groupsOut = groupsOf(width);
  for (let layer = 0; layer <= config.layers_per_block; layer++) {
    const skip = skips.pop();
    if (skip === undefined) throw new Error("The UNet has more up blocks than down blocks");
    const [below, beside] = [h.shape[3], skip.shape[3]];
    h = tf.concat([h, skip], 3) as tf.Tensor4D;
    // The sum of the one and a quarter of the other is diffusers', so checkpoints have it.
    const groups = attends ? Math.min(below + (beside >> 2), 32) : groupsOf(below + beside);
    const part = scope.at("resnets", layer);
    h = resnet(part, config, h, time, width, { groups, groupsOut, outputScale });
  }
  if (attends) {
    h = selfAttention(scope.at("attentions", 0), config, h, attention);
  }
  if (image !== undefined) image = firUpsample(image);
  if (last) return [h, image];
  const normed = silu(groupNorm(scope.at("skip_norm"), h, groupsOut, config.norm_eps));
  const added = conv(scope.at("skip_conv"), normed, config.out_channels);
  h = resnet(scope.at("resnet_up"), config, h, time, width, {
    groups: groupsOut,
    groupsOut,
    outputScale,
    resample: firUpsample,
    shortcut: true,
  });
  return [h, image === undefined ? added : tf.add(image, added)];
}
