/**
 * The training of a denoising UNet.
 *
 * @module
 */
import * as tf from "tfjs";
import { unet2d, type UNet2DConfig } from "../models/unet_2d.ts";
import { type BatchOptions, makeBatches } from "./batches.ts";
import type { Dataset } from "./data/dataset.ts";
import type { NoisyBatch } from "./objective.ts";
import { lossesOf, type LossOptions, needsChain } from "./objectives/losses.ts";
import type { Task } from "./train.ts";

/** What a UNet learns and on which batches; what is predicted is the same for both. */
export type DiffusionOptions =
  & Omit<BatchOptions, "chain">
  & Pick<LossOptions, "objective" | "variance" | "vlbWeight">;

/** The objective of a UNet on a data set. */
export function diffusionTask(
  config: UNet2DConfig,
  data: Dataset,
  options: DiffusionOptions,
): Task<NoisyBatch> {
  const conditional = config.num_class_embeds !== null;
  const batch = makeBatches(data, { ...options, chain: needsChain(options) });
  const objective: LossOptions = {
    ...options,
    mean: options.prediction,
    timesteps: options.alphasCumprod.length,
  };
  return {
    probe: (scope) =>
      unet2d(
        scope,
        config,
        tf.zeros([1, data.height, data.width, data.channels]),
        tf.zeros([1]),
        conditional ? tf.zeros([1], "int32") : undefined,
      ),
    batch,
    memory: batch.memory,
    loss: (scope, batch) =>
      lossesOf((x, t, labels) => unet2d(scope, config, x, t, labels), batch, objective).loss,
  };
}
