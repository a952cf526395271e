/**
 * The batches of a training run. What step k sees depends on the seed and k alone, so a resumed
 * run continues exactly where it stopped without any saved random state.
 *
 * @module
 */
import * as tf from "tfjs";
import { philoxAt } from "../noise/mod.ts";
import type { Dataset } from "./data/dataset.ts";
import { lossWeight, type NoisyBatch, type PredictionType } from "./objective.ts";

// Streams of random numbers of one seed, by purpose.
const [ORDER, LEVELS, NOISE, DROPS] = [1, 2, 3, 4] as const;

/** What {@linkcode makeBatches} needs to know. */
export interface BatchOptions {
  readonly seed: number;
  readonly batchSize: number;
  /** ᾱ_t of every training timestep. */
  readonly alphasCumprod: Float64Array;
  readonly prediction: PredictionType;
  /** The gamma of min-SNR weights; 0 for none. */
  readonly snrGamma: number;
  /** Whether the network is given labels. */
  readonly labelled: boolean;
  /** The class that stands for no class, and how often a label is replaced by it. */
  readonly labelDrop?: { readonly nullClass: number; readonly share: number } | undefined;
}

/** The indices of images for a step: every epoch is a new permutation of the whole set. */
export function imageOrder(length: number, seed: number, batchSize: number) {
  let current: { epoch: number; order: Uint32Array } | undefined;
  return (step: number): number[] =>
    Array.from({ length: batchSize }, (_, index) => {
      const position = step * batchSize + index;
      const epoch = Math.floor(position / length);
      if (current?.epoch !== epoch) {
        current = { epoch, order: philoxAt(seed, ORDER, epoch).permutation(length) };
      }
      return current.order[position % length] ?? 0;
    });
}

/**
 * Timesteps for a batch, each uniform over all of them and together spread evenly (stratified), so
 * that the loss varies less from step to step.
 */
export function spreadTimesteps(shares: Float32Array, count: number): Int32Array {
  return Int32Array.from(
    shares,
    (share, index) => Math.min(count - 1, Math.floor((index + share) / shares.length * count)),
  );
}

/** A function that makes the batch of a step; the caller disposes its tensors. */
export function makeBatches(data: Dataset, options: BatchOptions) {
  const { seed, batchSize, alphasCumprod, prediction, snrGamma, labelled, labelDrop } = options;
  const order = imageOrder(data.length, seed, batchSize);
  const shape: [number, number, number, number] = [
    batchSize,
    data.height,
    data.width,
    data.channels,
  ];
  return async (step: number): Promise<NoisyBatch> => {
    const { images, labels } = await data.batch(order(step));
    const times = spreadTimesteps(
      philoxAt(seed, LEVELS, step).uniform(batchSize),
      alphasCumprod.length,
    );
    const cumulative = Array.from(times, (t) => alphasCumprod[t] ?? 1);
    const perImage = (f: (share: number) => number) =>
      tf.tensor4d(cumulative.map(f), [batchSize, 1, 1, 1]);
    if (labelDrop !== undefined) {
      philoxAt(seed, DROPS, step).uniform(batchSize).forEach((draw, index) => {
        if (draw < labelDrop.share) labels[index] = labelDrop.nullClass;
      });
    }
    const noise = philoxAt(seed, NOISE, step).normal(images.length);
    return {
      x0: tf.tensor4d(images, shape),
      eps: tf.tensor4d(noise, shape),
      t: tf.tensor1d(Float32Array.from(times)),
      alpha: perImage(Math.sqrt),
      sigma: perImage((share) => Math.sqrt(1 - share)),
      weight: tf.tensor1d(
        cumulative.map((share) => lossWeight(prediction, share / (1 - share), snrGamma)),
      ),
      labels: labelled ? tf.tensor1d(labels, "int32") : undefined,
    };
  };
}
