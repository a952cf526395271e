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
import type { Weights } from "../models/weights.ts";

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
  /** The raw answer at x and t, `[batch]`; further inputs are what its class takes. */
  answer(scope: Scope, x: tf.Tensor, t: tf.Tensor, ...more: readonly tf.Tensor[]): tf.Tensor4D;
}

/** A network by its class. */
export type UNet = Common & { readonly kind: "UNet2DModel"; readonly config: UNet2DConfig };

/** The network and its configuration alone. */
type Described = Omit<UNet, "weights" | "folder">;

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
      edge: config.sample_size,
      stride: 2 ** (config.block_out_channels.length - 1),
      classes: config.num_class_embeds,
      answer: (scope, x, t, labels) =>
        unet2d(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, labels as tf.Tensor1D),
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
  const describe = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (describe === undefined) {
    throw new TypeError(`Cannot use "${path}": a network of class ${name} is not known here`);
  }
  return { ...describe(values, path), folder, weights: weightsOf(folder) };
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
