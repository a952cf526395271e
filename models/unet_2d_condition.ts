/**
 * The UNet that a text conditions by attention (Rombach et al. 2022, section 3.3), with the keys and
 * tensor names of diffusers' `UNet2DConditionModel`: Stable Diffusion 1 and 2, its upscaler and
 * inpainting, and the decoder of unCLIP.
 *
 * @module
 */
import * as tf from "tfjs";
import { checkConfig, type Field, optional, orList } from "./config.ts";
import { conv, embedding, groupNorm, linear, maskBias, silu, timestepEmbedding } from "./layers.ts";
import type { Scope } from "./scope.ts";
import { type Context, jointAttention, transformer2d } from "./transformer_blocks.ts";
import {
  downsampleConv,
  embeddingLayers,
  resnet,
  selfAttention,
  upsampleConv,
} from "./unet_blocks.ts";
import type { Labels } from "./unet_2d.ts";

const DOWN_BLOCKS = [
  "DownBlock2D",
  "AttnDownBlock2D",
  "CrossAttnDownBlock2D",
  "ResnetDownsampleBlock2D",
  "SimpleCrossAttnDownBlock2D",
] as const;
const MID_BLOCKS = [
  "UNetMidBlock2D",
  "UNetMidBlock2DCrossAttn",
  "UNetMidBlock2DSimpleCrossAttn",
] as const;
const UP_BLOCKS = [
  "UpBlock2D",
  "AttnUpBlock2D",
  "CrossAttnUpBlock2D",
  "ResnetUpsampleBlock2D",
  "SimpleCrossAttnUpBlock2D",
] as const;

/** One value for all levels, or one for each, the finest first. */
type PerLevel<T> = T | readonly T[];

/** A `config.json` of class `UNet2DConditionModel`. */
export interface UNet2DConditionConfig {
  readonly sample_size: PerLevel<number> | null;
  readonly in_channels: number;
  readonly out_channels: number;
  readonly center_input_sample: boolean;
  readonly flip_sin_to_cos: boolean;
  readonly freq_shift: number;
  readonly time_embedding_type: "positional";
  readonly time_embedding_dim: number | null;
  readonly down_block_types: readonly (typeof DOWN_BLOCKS)[number][];
  readonly mid_block_type: (typeof MID_BLOCKS)[number] | null;
  readonly up_block_types: readonly (typeof UP_BLOCKS)[number][];
  readonly block_out_channels: readonly number[];
  readonly layers_per_block: PerLevel<number>;
  readonly downsample_padding: number;
  readonly mid_block_scale_factor: number;
  readonly act_fn: "silu" | "swish";
  readonly norm_num_groups: number;
  readonly norm_eps: number;
  readonly resnet_time_scale_shift: "default" | "scale_shift";
  /** Channels of a text's token. */
  readonly cross_attention_dim: PerLevel<number>;
  readonly only_cross_attention: PerLevel<boolean>;
  readonly mid_block_only_cross_attention: boolean | null;
  readonly transformer_layers_per_block: PerLevel<number>;
  /**
   * By a mistake that all checkpoints keep, the number of heads in blocks `CrossAttn…`; in the
   * others the channels of one head.
   */
  readonly attention_head_dim: PerLevel<number>;
  readonly use_linear_projection: boolean;
  readonly encoder_hid_dim: number | null;
  readonly encoder_hid_dim_type: "text_proj" | null;
  readonly class_embed_type:
    | "timestep"
    | "identity"
    | "projection"
    | "simple_projection"
    | null;
  readonly num_class_embeds: number | null;
  readonly projection_class_embeddings_input_dim: number | null;
  readonly addition_embed_type: "text_time" | null;
  readonly addition_time_embed_dim: number | null;
  readonly conv_in_kernel: number;
  readonly conv_out_kernel: number;
}

/** What diffusers assumes where a key is absent. */
export const unet2dConditionDefaults: UNet2DConditionConfig = {
  sample_size: null,
  in_channels: 4,
  out_channels: 4,
  center_input_sample: false,
  flip_sin_to_cos: true,
  freq_shift: 0,
  time_embedding_type: "positional",
  time_embedding_dim: null,
  down_block_types: [
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "DownBlock2D",
  ],
  mid_block_type: "UNetMidBlock2DCrossAttn",
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  block_out_channels: [320, 640, 1280, 1280],
  layers_per_block: 2,
  downsample_padding: 1,
  mid_block_scale_factor: 1,
  act_fn: "silu",
  norm_num_groups: 32,
  norm_eps: 1e-5,
  resnet_time_scale_shift: "default",
  cross_attention_dim: 1280,
  only_cross_attention: false,
  mid_block_only_cross_attention: null,
  transformer_layers_per_block: 1,
  attention_head_dim: 8,
  use_linear_projection: false,
  encoder_hid_dim: null,
  encoder_hid_dim_type: null,
  class_embed_type: null,
  num_class_embeds: null,
  projection_class_embeddings_input_dim: null,
  addition_embed_type: null,
  addition_time_embed_dim: null,
  conv_in_kernel: 3,
  conv_out_kernel: 3,
};

const fields: { readonly [K in keyof UNet2DConditionConfig]: Field } = {
  sample_size: optional(orList("count")),
  in_channels: "count",
  out_channels: "count",
  center_input_sample: "flag",
  flip_sin_to_cos: "flag",
  freq_shift: "integer",
  time_embedding_type: ["positional"],
  time_embedding_dim: optional("count"),
  down_block_types: { each: DOWN_BLOCKS },
  mid_block_type: optional(MID_BLOCKS),
  up_block_types: { each: UP_BLOCKS },
  block_out_channels: { each: "count" },
  layers_per_block: orList("count"),
  downsample_padding: "integer",
  mid_block_scale_factor: "number",
  act_fn: ["silu", "swish"],
  norm_num_groups: "count",
  norm_eps: "number",
  resnet_time_scale_shift: ["default", "scale_shift"],
  cross_attention_dim: orList("count"),
  only_cross_attention: orList("flag"),
  mid_block_only_cross_attention: optional("flag"),
  transformer_layers_per_block: orList("count"),
  attention_head_dim: orList("count"),
  use_linear_projection: "flag",
  encoder_hid_dim: optional("count"),
  encoder_hid_dim_type: optional(["text_proj"]),
  class_embed_type: optional(["timestep", "identity", "projection", "simple_projection"]),
  num_class_embeds: optional("count"),
  projection_class_embeddings_input_dim: optional("count"),
  addition_embed_type: optional(["text_time"]),
  addition_time_embed_dim: optional("count"),
  conv_in_kernel: "count",
  conv_out_kernel: "count",
};

/** Keys that change the network, with the only value that is known of each; absent is that. */
const KNOWN = {
  num_attention_heads: null,
  dual_cross_attention: false,
  reverse_transformer_layers_per_block: null,
  resnet_skip_time_act: false,
  resnet_out_scale_factor: 1,
  time_embedding_act_fn: null,
  timestep_post_act: null,
  time_cond_proj_dim: null,
  attention_type: "default",
  class_embeddings_concat: false,
  cross_attention_norm: null,
} as const;

const known: { readonly [K in keyof typeof KNOWN]: Field } = {
  num_attention_heads: { only: KNOWN.num_attention_heads },
  dual_cross_attention: { only: KNOWN.dual_cross_attention },
  reverse_transformer_layers_per_block: { only: KNOWN.reverse_transformer_layers_per_block },
  resnet_skip_time_act: { only: KNOWN.resnet_skip_time_act },
  resnet_out_scale_factor: { only: KNOWN.resnet_out_scale_factor },
  time_embedding_act_fn: { only: KNOWN.time_embedding_act_fn },
  timestep_post_act: { only: KNOWN.timestep_post_act },
  time_cond_proj_dim: { only: KNOWN.time_cond_proj_dim },
  attention_type: { only: KNOWN.attention_type },
  class_embeddings_concat: { only: KNOWN.class_embeddings_concat },
  cross_attention_norm: { only: KNOWN.cross_attention_norm },
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind or the blocks do not fit together.
 */
export function parseUNet2DConditionConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): UNet2DConditionConfig {
  checkConfig(values, known, KNOWN, path);
  return checkConfig(values, fields, unet2dConditionDefaults, path, findMisfit);
}

/** The value of a level. */
function atLevel<T extends number | boolean>(value: PerLevel<T>, level: number): T {
  if (typeof value !== "object") return value;
  const own = value[level];
  if (own === undefined) throw new RangeError(`Cannot read level ${level} of a list without it`);
  return own;
}

/** The reason why the parts of a configuration do not fit together, if any. */
function findMisfit(config: UNet2DConditionConfig): string | undefined {
  const { block_out_channels: widths, down_block_types: down, up_block_types: up } = config;
  const levels = widths.length;
  if (down.length !== levels || up.length !== levels || levels === 0) {
    return `it has ${levels} block_out_channels, ${down.length} down_block_types and ${up.length} up_block_types; their numbers must be equal and at least 1`;
  }
  const lists = [
    "layers_per_block",
    "cross_attention_dim",
    "only_cross_attention",
    "transformer_layers_per_block",
    "attention_head_dim",
  ] as const;
  for (const key of lists) {
    const value = config[key];
    if (typeof value === "object" && value.length !== levels) {
      return `${key} has ${value.length} values, there must be ${levels}, as many as block_out_channels`;
    }
  }
  for (const [level, width] of widths.entries()) {
    const types = [
      down[level],
      up[levels - 1 - level],
      level === levels - 1 && config.mid_block_type,
    ];
    const attends = types.some((type) => type && type.includes("Attn"));
    const divisors = {
      norm_num_groups: config.norm_num_groups,
      attention_head_dim: attends ? atLevel(config.attention_head_dim, level) : 1,
    };
    for (const [key, divisor] of Object.entries(divisors)) {
      if (width % divisor !== 0) {
        return `${key} (${divisor}) does not divide ${width}, one of block_out_channels`;
      }
    }
  }
  const needs: [boolean, string, keyof UNet2DConditionConfig][] = [
    [
      config.class_embed_type?.endsWith("projection") ?? false,
      `class_embed_type "${config.class_embed_type}"`,
      "projection_class_embeddings_input_dim",
    ],
    [
      config.addition_embed_type !== null,
      'addition_embed_type "text_time"',
      "addition_time_embed_dim",
    ],
    [
      config.addition_embed_type !== null,
      'addition_embed_type "text_time"',
      "projection_class_embeddings_input_dim",
    ],
    [config.encoder_hid_dim_type !== null, 'encoder_hid_dim_type "text_proj"', "encoder_hid_dim"],
  ];
  const missing = needs.find(([used, , key]) => used && config[key] === null);
  return missing && `${missing[1]} needs ${missing[2]}`;
}

/** What a network is told beside x and t. */
export interface Conditions {
  /** `[batch, tokens, cross_attention_dim]`, or `encoder_hid_dim` where there is one. */
  readonly text: tf.Tensor3D;
  /** 1 for each of its tokens that counts and 0 for others, `[batch, tokens]`; absent, all count. */
  readonly mask?: tf.Tensor2D | undefined;
  /** Classes `[batch]` int32 or, for `identity` and projections, vectors `[batch, size]`. */
  readonly labels?: Labels | undefined;
  /** Of `text_time`: the whole text as a vector, `[batch, size]`. */
  readonly pooled?: tf.Tensor2D | undefined;
  /** Of `text_time`: numbers that are embedded as timesteps are, `[batch, count]`. */
  readonly numbers?: tf.Tensor2D | undefined;
}

/** The embedding of timesteps, classes and additions, `[batch, time_embedding_dim]`. */
function embed(
  scope: Scope,
  config: UNet2DConditionConfig,
  t: tf.Tensor1D,
  conditions: Conditions,
): tf.Tensor2D {
  const first = config.block_out_channels[0] ?? 0;
  const size = config.time_embedding_dim ?? 4 * first;
  const waves = (t: tf.Tensor1D, size: number) =>
    timestepEmbedding(t, size, config.flip_sin_to_cos, config.freq_shift);
  const time = embeddingLayers(scope.at("time_embedding"), waves(t, first), size);
  const ofClass = embedClass(scope.at("class_embedding"), config, conditions.labels, {
    size,
    waves: (labels) => waves(labels, first),
  });
  const parts = ofClass === undefined ? [time] : [time, ofClass];
  if (config.addition_embed_type === "text_time") {
    const { pooled, numbers } = conditions;
    if (pooled === undefined || numbers === undefined) {
      throw new TypeError("Cannot run this UNet without the pooled text and its numbers");
    }
    const width = config.addition_time_embed_dim ?? 0;
    const flat = waves(tf.reshape(numbers, [-1]), width);
    const both = tf.concat([pooled, tf.reshape(flat, [numbers.shape[0], -1])], 1) as tf.Tensor2D;
    parts.push(embeddingLayers(scope.at("add_embedding"), both, size));
  }
  return tf.addN(parts);
}

function embedClass(
  scope: Scope,
  { class_embed_type: type, num_class_embeds: classes }: UNet2DConditionConfig,
  labels: Labels | undefined,
  { size, waves }: {
    readonly size: number;
    readonly waves: (labels: tf.Tensor1D) => tf.Tensor2D;
  },
): tf.Tensor2D | undefined {
  if (type === null && classes === null) return undefined;
  if (labels === undefined) throw new TypeError("Cannot run this UNet without class labels");
  // A rank other than the configuration's fails in the operations below.
  const [indices, vectors] = [labels as tf.Tensor1D, labels as tf.Tensor2D];
  switch (type) {
    case "timestep":
      return embeddingLayers(scope, waves(indices.toFloat()), size);
    case "identity":
      return vectors;
    case "projection":
      return embeddingLayers(scope, vectors, size);
    case "simple_projection":
      return linear(scope, vectors, size);
    case null:
      return embedding(scope, indices, classes ?? 0, size);
  }
}

/** What all blocks of a run share. */
interface Run {
  readonly config: UNet2DConditionConfig;
  readonly time: tf.Tensor2D; // SiLU of the embedding
  readonly context: Context;
}

/** The attention of a block, of the kind that its type names, or nothing. */
function attend(
  scope: Scope,
  { config, context }: Run,
  h: tf.Tensor4D,
  type: string,
  level: number,
): tf.Tensor4D {
  const groups = config.norm_num_groups;
  const number = atLevel(config.attention_head_dim, level);
  const onlyCross = atLevel(config.only_cross_attention, level);
  if (type.includes("SimpleCrossAttn")) {
    return jointAttention(scope, h, context, { headSize: number, groups, onlyCross });
  }
  if (type.includes("CrossAttn")) {
    return transformer2d(scope, h, context, {
      heads: number,
      layers: atLevel(config.transformer_layers_per_block, level),
      groups,
      linearProjection: config.use_linear_projection,
      onlyCross,
    });
  }
  return type.startsWith("Attn")
    ? selfAttention(scope, config, h, { headSize: number, groups })
    : h;
}

/** Whether a block changes the resolution by a residual layer and not by a convolution. */
function resamplesByResnet(type: string): boolean {
  return type.startsWith("Resnet") || type.startsWith("Simple");
}

function middle(scope: Scope, run: Run, h: tf.Tensor4D): tf.Tensor4D {
  const { config, time } = run;
  const type = config.mid_block_type;
  if (type === null) return h;
  const width = h.shape[3];
  const layer = (index: number, h: tf.Tensor4D) =>
    resnet(scope.at("resnets", index), config, h, time, width, {
      outputScale: config.mid_block_scale_factor,
    });
  h = layer(0, h);
  if (type === "UNetMidBlock2D") return h; // of one layer here, unlike in UNet2DModel
  const own = config.mid_block_only_cross_attention ?? config.only_cross_attention;
  const only = typeof own === "boolean" && own && type === "UNetMidBlock2DSimpleCrossAttn";
  const changed = { ...run, config: { ...config, only_cross_attention: only } };
  const last = config.block_out_channels.length - 1;
  return layer(1, attend(scope.at("attentions", 0), changed, h, type, last));
}

/**
 * The network's raw answer at x.
 *
 * @param x `[batch, height, width, in_channels]`.
 * @param t `[batch]` float32, the training timesteps that x is at.
 * @returns `[batch, height, width, out_channels]`.
 */
export function unet2dCondition(
  scope: Scope,
  config: UNet2DConditionConfig,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  conditions: Conditions,
): tf.Tensor4D {
  const { block_out_channels: widths, norm_num_groups: groups } = config;
  const levels = widths.length;
  const first = widths[0] ?? 0;
  const { text, mask } = conditions;
  const projects = config.encoder_hid_dim !== null;
  const run: Run = {
    config,
    time: silu(embed(scope, config, t, conditions)),
    context: {
      text: projects
        ? linear(scope.at("encoder_hid_proj"), text, atLevel(config.cross_attention_dim, 0))
        : text,
      bias: mask && maskBias(mask),
    },
  };
  const image = config.center_input_sample ? tf.sub<tf.Tensor4D>(tf.mul(x, 2), 1) : x;
  const [into, out] = [config.conv_in_kernel, config.conv_out_kernel];
  let h = conv(scope.at("conv_in"), image, first, { kernel: into, padding: (into - 1) >> 1 });
  const skips = [h];
  config.down_block_types.forEach((type, level) => {
    const block = scope.at("down_blocks", level);
    const width = widths[level] ?? 0;
    for (let layer = 0; layer < atLevel(config.layers_per_block, level); layer++) {
      h = resnet(block.at("resnets", layer), config, h, run.time, width);
      h = attend(block.at("attentions", layer), run, h, type, level);
      skips.push(h);
    }
    if (level === levels - 1) return;
    const part = block.at("downsamplers", 0);
    h = resamplesByResnet(type)
      ? resnet(part, config, h, run.time, width, { resample: "down" })
      : downsampleConv(part, h, config.downsample_padding);
    skips.push(h);
  });
  h = middle(scope.at("mid_block"), run, h);
  config.up_block_types.forEach((type, index) => {
    const block = scope.at("up_blocks", index);
    const level = levels - 1 - index;
    const width = widths[level] ?? 0;
    for (let layer = 0; layer <= atLevel(config.layers_per_block, level); layer++) {
      h = tf.concat([h, ...skips.splice(-1)], 3) as tf.Tensor4D;
      h = resnet(block.at("resnets", layer), config, h, run.time, width);
      h = attend(block.at("attentions", layer), run, h, type, level);
    }
    const [, height, columns] = skips.at(-1)?.shape ?? [];
    if (height === undefined || columns === undefined) return;
    const part = block.at("upsamplers", 0);
    h = resamplesByResnet(type)
      ? resnet(part, config, h, run.time, width, { resample: "up" })
      : upsampleConv(part, h, [height, columns]); // those of an odd edge are not twice h's
  });
  h = silu(groupNorm(scope.at("conv_norm_out"), h, groups, config.norm_eps));
  const options = { kernel: out, padding: (out - 1) >> 1, zero: true };
  return conv(scope.at("conv_out"), h, config.out_channels, options);
}
