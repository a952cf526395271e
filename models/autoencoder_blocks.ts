/**
 * The encoder and the decoder of latent diffusion's autoencoders (Rombach et al. 2022, appendix G):
 * a UNet's blocks without its skips and timesteps.
 *
 * @module
 */
import type * as tf from "tfjs";
import type { Field } from "./config.ts";
import { conv, groupNorm, silu } from "./layers.ts";
import type { Scope } from "./scope.ts";
import {
  type BlockConfig,
  downsampleConv,
  resnet,
  selfAttention,
  upsampleConv,
} from "./unet_blocks.ts";

const DOWN_BLOCKS = ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"] as const;
const UP_BLOCKS = ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"] as const;

/** What the configurations of all autoencoders have. */
export interface AutoencoderConfig {
  readonly in_channels: number;
  readonly out_channels: number;
  readonly down_block_types: readonly (typeof DOWN_BLOCKS)[number][];
  readonly up_block_types: readonly (typeof UP_BLOCKS)[number][];
  readonly block_out_channels: readonly number[];
  readonly layers_per_block: number;
  readonly act_fn: "silu" | "swish";
  readonly latent_channels: number;
  readonly norm_num_groups: number;
  /** Height and width of the images that it was trained on. */
  readonly sample_size: number;
  /** What latents are multiplied by before a diffusion model sees them. */
  readonly scaling_factor: number;
  readonly mid_block_add_attention: boolean;
}

/** What diffusers assumes where a key is absent. */
export const autoencoderDefaults: AutoencoderConfig = {
  in_channels: 3,
  out_channels: 3,
  down_block_types: ["DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D"],
  block_out_channels: [64],
  layers_per_block: 1,
  act_fn: "silu",
  latent_channels: 4,
  norm_num_groups: 32,
  sample_size: 32,
  scaling_factor: 0.18215,
  mid_block_add_attention: true,
};

/** The checks of {@linkcode AutoencoderConfig}. */
export const autoencoderFields: { readonly [K in keyof AutoencoderConfig]: Field } = {
  in_channels: "count",
  out_channels: "count",
  down_block_types: { each: DOWN_BLOCKS },
  up_block_types: { each: UP_BLOCKS },
  block_out_channels: { each: "count" },
  layers_per_block: "count",
  act_fn: ["silu", "swish"],
  latent_channels: "count",
  norm_num_groups: "count",
  sample_size: "count",
  scaling_factor: "number",
  mid_block_add_attention: "flag",
};

/** The reason why the parts of a configuration do not fit together, if any. */
export function findAutoencoderMisfit(config: AutoencoderConfig): string | undefined {
  const { block_out_channels: widths, down_block_types: down, up_block_types: up } = config;
  if (down.length !== widths.length || up.length !== widths.length || widths.length === 0) {
    return `it has ${widths.length} block_out_channels, ${down.length} down_block_types and ${up.length} up_block_types; their numbers must be equal and at least 1`;
  }
  const groups = config.norm_num_groups;
  const odd = widths.find((width) => width % groups !== 0);
  return odd === undefined
    ? undefined
    : `norm_num_groups (${groups}) does not divide ${odd}, one of block_out_channels`;
}

/** Pixels of an image along one edge for each element of its latents. */
export function latentRate({ block_out_channels: widths }: AutoencoderConfig): number {
  return 2 ** (widths.length - 1);
}

const EPS = 1e-6;

function blockConfig({ norm_num_groups }: AutoencoderConfig): BlockConfig {
  return { norm_num_groups, norm_eps: EPS, resnet_time_scale_shift: "default" };
}

/** One head over all channels, as everywhere in these autoencoders. */
function attend(scope: Scope, config: AutoencoderConfig, h: tf.Tensor4D): tf.Tensor4D {
  return selfAttention(scope, blockConfig(config), h, {
    headSize: null,
    groups: config.norm_num_groups,
  });
}

function middle(scope: Scope, config: AutoencoderConfig, h: tf.Tensor4D): tf.Tensor4D {
  const block = blockConfig(config);
  const width = h.shape[3];
  h = resnet(scope.at("resnets", 0), block, h, undefined, width);
  if (config.mid_block_add_attention) h = attend(scope.at("attentions", 0), config, h);
  return resnet(scope.at("resnets", 1), block, h, undefined, width);
}

/** The layers of one level, each perhaps with attention. */
function level(
  scope: Scope,
  config: AutoencoderConfig,
  h: tf.Tensor4D,
  { width, layers, attends }: {
    readonly width: number;
    readonly layers: number;
    readonly attends: boolean;
  },
): tf.Tensor4D {
  for (let layer = 0; layer < layers; layer++) {
    h = resnet(scope.at("resnets", layer), blockConfig(config), h, undefined, width);
    if (attends) h = attend(scope.at("attentions", layer), config, h);
  }
  return h;
}

function readOut(scope: Scope, config: AutoencoderConfig, h: tf.Tensor4D, out: number) {
  const normed = silu(groupNorm(scope.at("conv_norm_out"), h, config.norm_num_groups, EPS));
  return conv(scope.at("conv_out"), normed, out);
}

/**
 * Images as features, {@linkcode latentRate} times smaller along each edge.
 *
 * @param x `[batch, height, width, in_channels]`.
 * @returns `[batch, height / rate, width / rate, out]`.
 */
export function encodeImage(
  scope: Scope,
  config: AutoencoderConfig,
  x: tf.Tensor4D,
  out: number,
): tf.Tensor4D {
  const { block_out_channels: widths, layers_per_block: layers } = config;
  let h = conv(scope.at("conv_in"), x, widths[0] ?? 0);
  config.down_block_types.forEach((type, index) => {
    const block = scope.at("down_blocks", index);
    const width = widths[index] ?? 0;
    h = level(block, config, h, { width, layers, attends: type === "AttnDownEncoderBlock2D" });
    if (index < widths.length - 1) h = downsampleConv(block.at("downsamplers", 0), h, 0);
  });
  return readOut(scope, config, middle(scope.at("mid_block"), config, h), out);
}

/**
 * Features as images: the way back of {@linkcode encodeImage}.
 *
 * @param z `[batch, height, width, latent_channels]`.
 * @returns `[batch, height * rate, width * rate, out_channels]`.
 */
export function decodeFeatures(
  scope: Scope,
  config: AutoencoderConfig,
  z: tf.Tensor4D,
): tf.Tensor4D {
  const widths = config.block_out_channels.toReversed();
  const layers = config.layers_per_block + 1;
  let h = conv(scope.at("conv_in"), z, widths[0] ?? 0);
  h = middle(scope.at("mid_block"), config, h);
  config.up_block_types.forEach((type, index) => {
    const block = scope.at("up_blocks", index);
    const width = widths[index] ?? 0;
    h = level(block, config, h, { width, layers, attends: type === "AttnUpDecoderBlock2D" });
    if (index < widths.length - 1) h = upsampleConv(block.at("upsamplers", 0), h);
  });
  return readOut(scope, config, h, config.out_channels);
}
