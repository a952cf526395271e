/**
 * Images of a data set as a model's likelihood is measured on them.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Denoiser } from "../pipeline/denoiser.ts";
import type { Dataset } from "../training/data/dataset.ts";

/** Which images, and how many at once. */
export interface Portion {
  /** The first ones of the data. */
  readonly count: number;
  readonly batchSize: number;
  /** Of the first image; image i has seed + i. */
  readonly seed: number;
}

/** A batch of them; the caller disposes its tensors. */
export interface ImageBatch {
  readonly x0: tf.Tensor4D;
  readonly labels?: tf.Tensor1D | undefined;
  /** The seed of each image. */
  readonly seeds: readonly number[];
}

/**
 * Batches of the first images, in their order and unchanged, with the labels that the network takes:
 * the data's own, or none where it has no classes.
 *
 * @throws {TypeError} Where the images or the classes are not the model's.
 */
export async function* measuredBatches(
  { model }: Denoiser,
  data: Dataset,
  { count, batchSize, seed }: Portion,
): AsyncGenerator<ImageBatch> {
  const { inChannels: channels, classes } = model.unet;
  const fail = (reason: string) =>
    new TypeError(`Cannot measure ${model.name} on these images: ${reason}`);
  if (data.channels !== channels) {
    throw fail(`they have ${data.channels} channels, the model's have ${channels}`);
  }
  const labelled = data.labels.length > 0;
  if (classes !== null && labelled && data.labels.length !== model.labels.length) {
    throw fail(`they have ${data.labels.length} classes, the model has ${model.labels.length}`);
  }
  if (classes !== null && !labelled && model.nullClass === undefined) {
    throw fail("they have no classes, and the model predicts nothing without one");
  }
  for (let first = 0; first < count; first += batchSize) {
    const size = Math.min(batchSize, count - first);
    const indices = Array.from({ length: size }, (_, index) => first + index);
    const { images, labels } = await data.batch(indices);
    yield {
      x0: tf.tensor4d(images, [size, data.height, data.width, data.channels]),
      labels: classes === null
        ? undefined
        : labelled
        ? tf.tensor1d(labels, "int32")
        : tf.fill([size], model.nullClass ?? 0, "int32"),
      seeds: indices.map((index) => seed + index),
    };
  }
}
