/**
 * Tiny models for tests of the command line, made in a moment and computed in milliseconds.
 *
 * @module
 */
import { join } from "@std/path";
import { unet2d, type UNet2DConfig, unet2dDefaults } from "../../models/unet_2d.ts";
import {
  encoderUNet,
  type EncoderUNetConfig,
  encoderUNetDefaults,
} from "../../models/encoder_unet.ts";
import type { NewTensor } from "../../models/safetensors.ts";
import { type ParameterSpec, type Scope, storedShape } from "../../models/scope.ts";
import { noiseStream } from "../../noise/mod.ts";
import { saveClassifier, saveModel } from "../../pipeline/model.ts";
import { recordParameters } from "../../training/parameters.ts";
import * as tf from "tfjs";

/** A UNet of 8x8x1 images with two levels, and classes for three labels and none. */
const UNET: UNet2DConfig = {
  ...unet2dDefaults,
  sample_size: 8,
  in_channels: 1,
  out_channels: 1,
  down_block_types: ["DownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "UpBlock2D"],
  block_out_channels: [8, 8],
  layers_per_block: 1,
  norm_num_groups: 4,
  num_class_embeds: 4,
};

const CLASSIFIER: EncoderUNetConfig = {
  ...encoderUNetDefaults,
  image_size: 8,
  in_channels: 1,
  model_channels: 32,
  out_channels: 3,
  num_res_blocks: 1,
  attention_resolutions: [],
  channel_mult: [1],
};

/** The labels of the tiny model. */
export const LABELS = ["cat", "dog", "fish"];

const SCHEDULER = {
  _class_name: "DDIMScheduler",
  beta_schedule: "linear",
  num_train_timesteps: 1000,
  prediction_type: "epsilon",
  timestep_spacing: "trailing",
};

/** Random tensors for a network; norms start as the identity. */
function randomTensors(network: (scope: Scope) => unknown): Map<string, NewTensor> {
  const stream = noiseStream("philox", 1);
  const make = ({ shape, layout, init }: ParameterSpec): NewTensor => {
    const stored = storedShape(shape, layout);
    const count = stored.reduce((product, size) => product * size, 1);
    const middle = "constant" in init ? init.constant : 0;
    const width = 1 / Math.sqrt(Math.max(1, count / (stored[0] ?? 1)));
    return { shape: stored, values: stream.normal(count).map((value) => middle + value * width) };
  };
  return new Map(recordParameters(network).map((spec) => [spec.name, make(spec)]));
}

/** What a tiny model may have otherwise. */
export interface TinyOptions {
  readonly classifier?: boolean;
  readonly config?: Partial<UNet2DConfig>;
  /** Changes the tensors of the UNet before they are written. */
  readonly spoil?: (tensors: Map<string, NewTensor>) => void;
}

/** Writes a tiny model as a folder. */
export async function writeTiny(
  folder: string,
  { classifier = false, config: changes = {}, spoil = () => {} }: TinyOptions = {},
): Promise<void> {
  tf.enableProdMode(); // silences tfjs' advertisement of its other backends
  await tf.setBackend("cpu");
  const config = { ...UNET, ...changes };
  const x: tf.Tensor4D = tf.zeros([1, 8, 8, config.in_channels]);
  const t: tf.Tensor1D = tf.zeros([1]);
  const labels: tf.Tensor1D = tf.zeros([1], "int32");
  const tensors = randomTensors((scope) => unet2d(scope, config, x, t, labels));
  spoil(tensors);
  await saveModel(folder, { config, tensors, scheduler: SCHEDULER, labels: LABELS });
  if (classifier) {
    const tensors = randomTensors((scope) => encoderUNet(scope, CLASSIFIER, x, t));
    await saveClassifier(join(folder, "classifier"), CLASSIFIER, tensors);
  }
  tf.dispose([x, t, labels]);
}

/** Rewrites the keys of a JSON file. */
export async function editJson(path: string, changes: Record<string, unknown>): Promise<void> {
  const value = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...value, ...changes }));
}
