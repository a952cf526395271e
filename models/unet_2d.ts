/**
 * The UNet of DDPM and its descendants, with the configuration keys and tensor names of diffusers'
 * `UNet2DModel`: what is trained here loads there, and the other way round.
 *
 * @module
 */
import * as tf from "tfjs";
import { conv, embedding, groupNorm, silu, timestepEmbedding } from "./layers.ts";
import { checkConfig, type Field, optional } from "./config.ts";
import type { Scope } from "./scope.ts";
import { ATTENTION_GROUPS, isSkip, skipDown, skipUp } from "./skip_blocks.ts";
import {
  downsampleConv,
  embeddingLayers,
  groupsOf,
  resnet,
  selfAttention,
  upsampleConv,
} from "./unet_blocks.ts";

const DOWN_BLOCKS = [
  "DownBlock2D",
  "AttnDownBlock2D",
  "ResnetDownsampleBlock2D",
  "SkipDownBlock2D",
  "AttnSkipDownBlock2D",
] as const;
const UP_BLOCKS = [
  "UpBlock2D",
  "AttnUpBlock2D",
  "ResnetUpsampleBlock2D",
  "SkipUpBlock2D",
  "AttnSkipUpBlock2D",
] as const;

/** A `config.json` of class `UNet2DModel`; {@linkcode unet2dDefaults} fills absent keys. */
export interface UNet2DConfig {
  readonly sample_size: number | null;
  readonly in_channels: number;
  /** Twice `in_channels` where the variance is learned. */
  readonly out_channels: number;
  readonly center_input_sample: boolean;
  readonly time_embedding_type: "positional" | "fourier" | "learned";
  readonly time_embedding_dim: number | null;
  readonly freq_shift: number;
  readonly flip_sin_to_cos: boolean;
  readonly down_block_types: readonly (typeof DOWN_BLOCKS)[number][];
  readonly mid_block_type: "UNetMidBlock2D" | null;
  readonly up_block_types: readonly (typeof UP_BLOCKS)[number][];
  readonly block_out_channels: readonly number[];
  readonly layers_per_block: number;
  readonly mid_block_scale_factor: number;
  readonly downsample_padding: number;
  readonly downsample_type: "conv" | "resnet" | null;
  readonly upsample_type: "conv" | "resnet" | null;
  readonly dropout: number;
  readonly act_fn: "silu" | "swish";
  /** Channels of one head; null is one head over all channels. */
  readonly attention_head_dim: number | null;
  /** Null only where all blocks are of NCSN++, whose groups follow from their channels. */
  readonly norm_num_groups: number | null;
  readonly attn_norm_num_groups: number | null;
  readonly norm_eps: number;
  readonly resnet_time_scale_shift: "default" | "scale_shift";
  readonly add_attention: boolean;
  readonly class_embed_type: "timestep" | "identity" | null;
  readonly num_class_embeds: number | null;
  readonly num_train_timesteps: number | null;
}

/** What diffusers assumes where a key is absent; an explicit null is another thing. */
export const unet2dDefaults: UNet2DConfig = {
  sample_size: null,
  in_channels: 3,
  out_channels: 3,
  center_input_sample: false,
  time_embedding_type: "positional",
  time_embedding_dim: null,
  freq_shift: 0,
  flip_sin_to_cos: true,
  down_block_types: ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
  mid_block_type: "UNetMidBlock2D",
  up_block_types: ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
  block_out_channels: [224, 448, 672, 896],
  layers_per_block: 2,
  mid_block_scale_factor: 1,
  downsample_padding: 1,
  downsample_type: "conv",
  upsample_type: "conv",
  dropout: 0,
  act_fn: "silu",
  attention_head_dim: 8,
  norm_num_groups: 32,
  attn_norm_num_groups: null,
  norm_eps: 1e-5,
  resnet_time_scale_shift: "default",
  add_attention: true,
  class_embed_type: null,
  num_class_embeds: null,
  num_train_timesteps: null,
};

const fields: { readonly [K in keyof UNet2DConfig]: Field } = {
  sample_size: optional("count"),
  in_channels: "count",
  out_channels: "count",
  center_input_sample: "flag",
  time_embedding_type: ["positional", "fourier", "learned"],
  time_embedding_dim: optional("count"),
  freq_shift: "integer",
  flip_sin_to_cos: "flag",
  down_block_types: { each: DOWN_BLOCKS },
  mid_block_type: optional(["UNetMidBlock2D"]),
  up_block_types: { each: UP_BLOCKS },
  block_out_channels: { each: "count" },
  layers_per_block: "count",
  mid_block_scale_factor: "number",
  downsample_padding: "integer",
  downsample_type: optional(["conv", "resnet"]),
  upsample_type: optional(["conv", "resnet"]),
  dropout: "number",
  act_fn: ["silu", "swish"],
  attention_head_dim: optional("count"),
  norm_num_groups: optional("count"),
  attn_norm_num_groups: optional("count"),
  norm_eps: "number",
  resnet_time_scale_shift: ["default", "scale_shift"],
  add_attention: "flag",
  class_embed_type: optional(["timestep", "identity"]),
  num_class_embeds: optional("count"),
  num_train_timesteps: optional("count"),
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind or the blocks do not fit together.
 */
export function parseUNet2DConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): UNet2DConfig {
  return checkConfig(values, fields, unet2dDefaults, path, findMisfit);
}

/** The reason why the parts of a configuration do not fit together, if any. */
function findMisfit(config: UNet2DConfig): string | undefined {
  const { block_out_channels: widths, down_block_types: down, up_block_types: up } = config;
  if (down.length !== widths.length || up.length !== widths.length || widths.length === 0) {
    return `it has ${widths.length} block_out_channels, ${down.length} down_block_types and ${up.length} up_block_types; their numbers must be equal and at least 1`;
  }
  const { norm_num_groups: groups, attn_norm_num_groups: own, attention_head_dim: size } = config;
  const types = [...down, ...up];
  const plain = types.find((type) => !isSkip(type));
  if (groups === null && plain !== undefined) {
    return `norm_num_groups is null, but ${plain} needs it`;
  }
  const middle = config.mid_block_type !== null && config.add_attention;
  const at = (level: number) => [down[level], up[widths.length - 1 - level]];
  for (const [level, width] of widths.entries()) {
    const last = level === widths.length - 1;
    const attends = at(level).some((type) => type?.startsWith("Attn")) || middle && last;
    const divisors: [string, number | null][] = [
      ["norm_num_groups", groups],
      ["attn_norm_num_groups", middle && last ? own : null],
      ["attention_head_dim", attends ? size : null],
      ["the groups of its norms", at(level).some(isSkip) ? groupsOf(width) : null],
      [
        "the groups of its attention",
        at(level).some((type) => type?.startsWith("AttnSkip")) ? ATTENTION_GROUPS : null,
      ],
    ];
    const odd = divisors.find(([, divisor]) => divisor !== null && width % divisor !== 0);
    if (odd !== undefined) {
      return `${odd[0]} (${odd[1]}) does not divide ${width}, one of block_out_channels`;
    }
  }
  if (config.time_embedding_type === "learned" && config.num_train_timesteps === null) {
    return 'time_embedding_type "learned" needs num_train_timesteps';
  }
  const rate = 2 ** down.slice(0, -1).filter((type) => resamplingOf(type, config) !== null).length;
  if (config.sample_size !== null && config.sample_size % rate !== 0) {
    return `sample_size (${config.sample_size}) is not divisible by ${rate}, the rate of its down-sampling`;
  }
  return undefined;
}

/** How a block changes the resolution after its layers. */
function resamplingOf(
  type: UNet2DConfig["down_block_types"][number] | UNet2DConfig["up_block_types"][number],
  config: UNet2DConfig,
): "conv" | "resnet" | null {
  if (type === "DownBlock2D" || type === "UpBlock2D" || isSkip(type)) return "conv";
  if (type === "ResnetDownsampleBlock2D" || type === "ResnetUpsampleBlock2D") return "resnet";
  return type === "AttnDownBlock2D" ? config.downsample_type : config.upsample_type;
}

/** Classes `[batch]` int32, or where `class_embed_type` is `identity` vectors `[batch, size]`. */
export type Labels = tf.Tensor<tf.Rank.R1 | tf.Rank.R2>;

/** The embedding of timesteps and classes, `[batch, 4 * first channels]`. */
function embed(scope: Scope, config: UNet2DConfig, t: tf.Tensor1D, labels?: Labels) {
  const first = config.block_out_channels[0] ?? 0;
  const size = config.time_embedding_dim ?? 4 * first;
  const project = (t: tf.Tensor1D): tf.Tensor2D => {
    if (config.time_embedding_type === "learned") {
      return embedding(scope.at("time_proj"), t.toInt(), config.num_train_timesteps ?? 0, first);
    }
    if (config.time_embedding_type === "fourier") {
      const rates = scope.at("time_proj").parameter("weight", [first], "same", { normal: 16 });
      const angles = tf.mul(tf.outerProduct(tf.log(t), rates as tf.Tensor1D), 2 * Math.PI);
      const [sine, cosine] = [tf.sin(angles), tf.cos(angles)];
      return tf.concat([sine, cosine], 1) as tf.Tensor2D; // flip_sin_to_cos has no part in it
    }
    return timestepEmbedding(t, first, config.flip_sin_to_cos, config.freq_shift);
  };
  const time = embeddingLayers(scope.at("time_embedding"), project(t), size);
  const { class_embed_type: type, num_class_embeds: classes } = config;
  if (type === null && classes === null) return time;
  if (labels === undefined) throw new TypeError("Cannot run this UNet without class labels");
  const vector = type === "timestep"
    ? embeddingLayers(scope.at("class_embedding"), project(labels.toFloat() as tf.Tensor1D), size)
    : type === "identity"
    ? labels
    : embedding(scope.at("class_embedding"), labels as tf.Tensor1D, classes ?? 0, size);
  return tf.add(time, vector) as tf.Tensor2D;
}

/**
 * The network's raw answer at x.
 *
 * @param x `[batch, height, width, in_channels]`; height and width divisible by two to the number
 * of blocks less one.
 * @param t `[batch]` float32, the training timesteps that x is at (or noise levels where the
 * embedding is `fourier`).
 * @param labels of classes, where the network is class-conditional.
 * @returns `[batch, height, width, out_channels]`.
 */
export function unet2d(
  scope: Scope,
  config: UNet2DConfig,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: Labels,
): tf.Tensor4D {
  const { block_out_channels: widths, layers_per_block: layers } = config;
  const groups = (channels: number) => config.norm_num_groups ?? groupsOf(channels);
  const headSize = config.attention_head_dim;
  const time = silu(embed(scope, config, t, labels));
  let image = config.center_input_sample ? tf.sub<tf.Tensor4D>(tf.mul(x, 2), 1) : x; // NCSN++ only
  let h = conv(scope.at("conv_in"), image, widths[0] ?? 0);
  const skips = [h];
  config.down_block_types.forEach((type, level) => {
    const block = scope.at("down_blocks", level);
    const width = widths[level] ?? 0;
    const last = level === widths.length - 1;
    if (isSkip(type)) {
      const attends = type === "AttnSkipDownBlock2D";
      [h, image] = skipDown(block, config, { h, image, time, width, attends, last, skips });
      return;
    }
    for (let layer = 0; layer < layers; layer++) {
      h = resnet(block.at("resnets", layer), config, h, time, width);
      if (type === "AttnDownBlock2D") {
        h = selfAttention(block.at("attentions", layer), config, h, {
          headSize,
          groups: groups(width),
        });
      }
      skips.push(h);
    }
    if (last) return;
    const how = resamplingOf(type, config);
    if (how === null) return;
    const part = block.at("downsamplers", 0);
    h = how === "resnet"
      ? resnet(part, config, h, time, width, { resample: "down" })
      : downsampleConv(part, h, config.downsample_padding);
    skips.push(h);
  });
  if (config.mid_block_type !== null) {
    const mid = scope.at("mid_block");
    const outputScale = config.mid_block_scale_factor;
    const width = h.shape[3];
    h = resnet(mid.at("resnets", 0), config, h, time, width, { outputScale });
    if (config.add_attention) {
      const own = config.resnet_time_scale_shift === "default" ? groups(width) : null;
      const attentionGroups = config.attn_norm_num_groups ?? own;
      h = selfAttention(mid.at("attentions", 0), config, h, {
        headSize,
        groups: attentionGroups,
        outputScale,
      });
    }
    h = resnet(mid.at("resnets", 1), config, h, time, width, { outputScale });
  }
  let drawn: tf.Tensor4D | undefined; // by NCSN++, level by level
  config.up_block_types.forEach((type, index) => {
    const block = scope.at("up_blocks", index);
    const width = widths[widths.length - 1 - index] ?? 0;
    const last = index === widths.length - 1;
    if (isSkip(type)) {
      const attends = type === "AttnSkipUpBlock2D";
      [h, drawn] = skipUp(block, config, { h, image: drawn, time, width, attends, last, skips });
      return;
    }
    for (let layer = 0; layer <= layers; layer++) {
      const skip = skips.pop();
      if (skip === undefined) throw new Error("The UNet has more up blocks than down blocks");
      h = tf.concat([h, skip], 3) as tf.Tensor4D;
      h = resnet(block.at("resnets", layer), config, h, time, width);
      if (type === "AttnUpBlock2D") {
        h = selfAttention(block.at("attentions", layer), config, h, {
          headSize,
          groups: groups(width),
        });
      }
    }
    if (last) return;
    const how = resamplingOf(type, config);
    if (how === null) return;
    const part = block.at("upsamplers", 0);
    h = how === "resnet"
      ? resnet(part, config, h, time, width, { resample: "up" })
      : upsampleConv(part, h);
  });
  h = silu(groupNorm(scope.at("conv_norm_out"), h, groups(h.shape[3]), config.norm_eps));
  h = conv(scope.at("conv_out"), h, config.out_channels, { zero: true });
  if (drawn !== undefined) h = tf.add(h, drawn);
  if (config.time_embedding_type === "fourier") h = tf.div(h, tf.reshape(t, [-1, 1, 1, 1]));
  return h;
}
