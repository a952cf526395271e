/**
 * The network that a model's sampler asks, whatever its class.
 *
 * @module
 */
import { join } from "@std/path";
import type * as tf from "tfjs";
import { readJson } from "../models/config.ts";
import { openaiUNet, type OpenAIUNetConfig, parseOpenAIUNetConfig } from "../models/openai_unet.ts";
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
  /** The channels beside x that its class takes; a model may lay more there, see `beside.ts`. */
  readonly beside: number;
  /** Height and width of x that it was trained on; null where its configuration does not say. */
  readonly edge: number | null;
  /** Height and width of x must be divisible by it. */
  readonly stride: number;
  /** The classes that it knows, a null class included; null where it knows none. */
  readonly classes: number | null;
  /** What it takes behind x and t, in this order. */
  readonly more: readonly MoreInput[];
  /** The raw answer at x and t, `[batch]`; further inputs are what its class takes. */
  answer(scope: Scope, x: tf.Tensor, t: tf.Tensor, ...more: readonly tf.Tensor[]): tf.Tensor4D;
}

/** The classes of networks with their configurations. */
type Kind =
  | { readonly kind: "UNet2DModel"; readonly config: UNet2DConfig }
  | { readonly kind: "UNet2DConditionModel"; readonly config: UNet2DConditionConfig }
  | { readonly kind: "UNetModel" | "SuperResModel"; readonly config: OpenAIUNetConfig };

/** A network by its class. */
export type UNet = Common & Kind;

/** The network and its configuration alone. */
type Described = Omit<Common, "weights" | "folder"> & Kind;

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

/** A network of guided-diffusion; a `SuperResModel` has the images that it enlarges beside x. */
export function openaiDescribed(
  kind: "UNetModel" | "SuperResModel",
  config: OpenAIUNetConfig,
): Described {
  const beside = kind === "SuperResModel" ? config.in_channels : 0;
  return {
    kind,
    config,
    inChannels: config.in_channels + beside,
    outChannels: config.out_channels,
    beside,
    edge: config.image_size,
    stride: 2 ** (config.channel_mult.length - 1),
    classes: config.num_classes,
    more: config.num_classes === null ? [] : [CLASSES],
    answer: (scope, x, t, labels) =>
      openaiUNet(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, labels as tf.Tensor1D),
  };
}

const KINDS: Readonly<
  Record<string, (values: Readonly<Record<string, unknown>>, path: string) => Described>
> = {
  UNet2DModel(values, path) {
    const config = parseUNet2DConfig(values, path);
    return {
      kind: "UNet2DModel",
      config,
      inChannels: config.in_channels,
      outChannels: config.out_channels,
      beside: 0,
      edge: config.sample_size,
      stride: 2 ** (config.block_out_channels.length - 1),
      classes: config.num_class_embeds,
      more: config.num_class_embeds !== null || config.class_embed_type !== null ? [CLASSES] : [],
      answer: (scope, x, t, labels) =>
        unet2d(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, labels as tf.Tensor1D),
    };
  },
  UNet2DConditionModel(values, path) {
    const config = parseUNet2DConditionConfig(values, path);
    const { sample_size: size, cross_attention_dim: width } = config;
    return {
      kind: "UNet2DConditionModel",
      config,
      inChannels: config.in_channels,
      outChannels: config.out_channels,
      beside: 0,
      edge: typeof size === "object" ? size?.[0] ?? null : size,
      stride: 2 ** (config.block_out_channels.length - 1),
      classes: null, // it knows texts; its class labels are not the image's
      more: [
        {
          name: "encoder_hidden_states",
          shape: [
            TOKENS,
            config.encoder_hid_dim ?? (typeof width === "number" ? width : width[0] ?? 0),
          ],
          dtype: "float32",
        },
        ...labelsOf(config),
      ],
      answer: (scope, x, t, text, labels, mask) =>
        unet2dCondition(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, {
          text: text as tf.Tensor3D,
          labels: labels as tf.Tensor1D | undefined,
          mask: mask as tf.Tensor2D | undefined, // of unCLIP's decoder
        }),
    };
  },
  UNetModel: (values, path) => openaiDescribed("UNetModel", parseOpenAIUNetConfig(values, path)),
  SuperResModel: (values, path) =>
    openaiDescribed("SuperResModel", parseOpenAIUNetConfig(values, path)),
};

/** Opens the folder of a network that predicts, see {@linkcode unetOf}. */
export function openUNet(folder: string, weightsOf: (folder: string) => Weights): UNet {
  const path = join(folder, "config.json");
  return unetOf(readJson(path), path, { folder, weights: weightsOf(folder) });
}

/**
 * A network that predicts, by its configuration.
 *
 * @param path names the configuration in messages.
 * @throws {TypeError} Where its class is not known, or its configuration does not fit.
 */
export function unetOf(
  values: Readonly<Record<string, unknown>>,
  path: string,
  from: Pick<UNet, "folder" | "weights">,
): UNet {
  const name = String(values["_class_name"] ?? values["_class"] ?? "UNet2DModel");
  const describe = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (describe === undefined) {
    throw new TypeError(`Cannot use "${path}": a network of class ${name} is not known here`);
  }
  return { ...describe(values, path), ...from };
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
