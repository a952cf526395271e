/**
 * The training of a denoising UNet.
 *
 * @module
 */
import * as tf from "tfjs";
import { unet2d, type UNet2DConfig } from "../models/unet_2d.ts";
import { type BatchOptions, makeBatches } from "./batches.ts";
import type { Dataset } from "./data/dataset.ts";
import { type NoisyBatch, simpleLoss } from "./objective.ts";
import type { Task } from "./train.ts";

/** L_simple of a UNet on a data set. */
export function diffusionTask(
  config: UNet2DConfig,
  data: Dataset,
  options: BatchOptions,
): Task<NoisyBatch> {
  const conditional = config.num_class_embeds !== null;
  return {
    probe: (scope) =>
      unet2d(
        scope,
        config,
        tf.zeros([1, data.height, data.width, data.channels]),
        tf.zeros([1]),
        conditional ? tf.zeros([1], "int32") : undefined,
      ),
    batch: makeBatches(data, options),
    loss: (scope, batch) =>
      simpleLoss((x, t, labels) => unet2d(scope, config, x, t, labels), options.prediction, batch),
  };
}
