/**
 * The network that a model's sampler asks, whatever its class.
 *
 * @module
 */
import { join } from "@std/path";
import type * as tf from "tfjs";
import { readJson } from "../models/config.ts";
import type { Scope } from "../models/scope.ts";
import { parseUNet2DConfig, unet2d, type UNet2DConfig } from "../models/unet_2d.ts";
import {
  parseUNet2DConditionConfig,
  unet2dCondition,
  type UNet2DConditionConfig,
} from "../models/unet_2d_condition.ts";
import type { Weights } from "../models/weights.ts";

/** An input of a network beside x and t. */
export interface MoreInput {
  /** As diffusers calls it. */
  readonly name: string;
  /** For one image. */
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
}

/** What all such networks have. */
interface Common {
  readonly weights: Weights;
  /** The folder that it was read from. */
  readonly folder: string;
  /** Of what it takes: x, and what is laid beside it. */
  readonly inChannels: number;
  readonly outChannels: number;
  /** Height and width of x that it was trained on; null where its configuration does not say. */
  readonly edge: number | null;
  /** Height and width of x must be divisible by it. */
  readonly stride: number;
  /** The classes that it knows, a null class included; null where it knows none. */
  readonly classes: number | null;
  /** What it takes beside x and t, in this order. */
  readonly more: readonly MoreInput[];
  /** The raw answer at x and t, `[batch]`; further inputs are what its class takes. */
  answer(scope: Scope, x: tf.Tensor, t: tf.Tensor, ...more: readonly tf.Tensor[]): tf.Tensor4D;
}

/** A network by its class. */
export type UNet =
  & Common
  & (
    | { readonly kind: "UNet2DModel"; readonly config: UNet2DConfig }
    | { readonly kind: "UNet2DConditionModel"; readonly config: UNet2DConditionConfig }
  );

const CLASSES: MoreInput = { name: "class_labels", shape: [], dtype: "int32" };

/** The tokens of CLIP's texts; a network takes any number. */
const TOKENS = 77;

/** The class labels of a network that knows texts: numbers, or vectors that are embedded. */
function labelsOf(config: UNet2DConditionConfig): MoreInput[] {
  const { class_embed_type: type, num_class_embeds: classes } = config;
  if (type === null || type === "timestep") {
    return type === null && classes === null ? [] : [CLASSES];
  }
  const size = type === "identity"
    ? config.time_embedding_dim ?? 4 * (config.block_out_channels[0] ?? 0)
    : config.projection_class_embeddings_input_dim ?? 0;
  return [{ ...CLASSES, shape: [size], dtype: "float32" }];
}

/** Where a network is from. */
type Source = Pick<Common, "weights" | "folder">;

type Opener = (values: Readonly<Record<string, unknown>>, path: string, source: Source) => UNet;

const KINDS: Readonly<Record<string, Opener>> = {
  UNet2DModel(values, path, source) {
    const config = parseUNet2DConfig(values, path);
    return {
      ...source,
      kind: "UNet2DModel",
      config,
      inChannels: config.in_channels,
      outChannels: config.out_channels,
      edge: config.sample_size,
      stride: 2 ** (config.block_out_channels.length - 1),
      classes: config.num_class_embeds,
      more: config.num_class_embeds !== null || config.class_embed_type !== null ? [CLASSES] : [],
      answer: (scope, x, t, labels) =>
        unet2d(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, labels as tf.Tensor1D),
    };
  },
  UNet2DConditionModel(values, path, source) {
    const config = parseUNet2DConditionConfig(values, path);
    const { sample_size: size } = config;
    return {
      ...source,
      kind: "UNet2DConditionModel",
      config,
      inChannels: config.in_channels,
      outChannels: config.out_channels,
      edge: typeof size === "object" ? size?.[0] ?? null : size,
      stride: 2 ** (config.block_out_channels.length - 1),
      classes: null, // it knows texts; its class labels are not the image's
      more: [
        {
          name: "encoder_hidden_states",
          shape: [TOKENS, config.encoder_hid_dim ?? config.cross_attention_dim as number],
          dtype: "float32",
        },
        ...labelsOf(config),
      ],
      answer: (scope, x, t, text, labels) =>
        unet2dCondition(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, {
          text: text as tf.Tensor3D,
          labels: labels as tf.Tensor1D | undefined,
        }),
    };
  },
};

/**
 * Opens the folder of a network that predicts.
 *
 * @throws {TypeError} Where its class is not known, or its configuration does not fit.
 */
export function openUNet(folder: string, weightsOf: (folder: string) => Weights): UNet {
  const path = join(folder, "config.json");
  const values = readJson(path);
  const name = String(values["_class_name"] ?? "UNet2DModel");
  const open = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (open === undefined) {
    throw new TypeError(`Cannot use "${path}": a network of class ${name} is not known here`);
  }
  return open(values, path, { folder, weights: weightsOf(folder) });
}

/** A UNet of pixels and classes, which can be trained. */
export type TrainableUNet = Extract<UNet, { readonly kind: "UNet2DModel" }>;

/**
 * The network of a model where it is one that can be trained.
 *
 * @throws {TypeError} Where it is of another class.
 */
export function trainable(unet: UNet, name: string): TrainableUNet {
  if (unet.kind === "UNet2DModel") return unet;
  throw new TypeError(`Cannot train ${name}: it is a ${unet.kind}, only a UNet2DModel can be`);
}
