/**
 * The batches of a training run. What step k sees depends on the seed and k alone, so a resumed
 * run continues exactly where it stopped without any saved random state.
 *
 * @module
 */
import * as tf from "tfjs";
import { philoxAt } from "../noise/mod.ts";
import type { Dataset } from "./data/dataset.ts";
import type { NoisyBatch, PredictionType } from "./objective.ts";
import { chainOf, stepTensors } from "./objectives/chain.ts";
import { lossWeight, type Weighting } from "./objectives/weighting.ts";
import type { SamplerMemory, TimestepSampler } from "./timesteps/mod.ts";
import { uniformTimesteps } from "./timesteps/mod.ts";

// Streams of random numbers of one seed, by purpose.
const [ORDER, LEVELS, NOISE, DROPS, OFFSETS] = [1, 2, 3, 4, 5] as const;

/** What {@linkcode makeBatches} needs to know. */
export interface BatchOptions {
  readonly seed: number;
  readonly batchSize: number;
  /** ᾱ_t of every training timestep. */
  readonly alphasCumprod: Float64Array;
  readonly prediction: PredictionType;
  readonly weighting: Weighting;
  /** How often each timestep is visited; all alike where absent. */
  readonly timesteps?: TimestepSampler | undefined;
  /** Whether the loss needs the steps of the chain. */
  readonly chain?: boolean;
  /**
   * The deviation of noise that all pixels of a channel share, so that the network learns to move
   * an image's brightness (Guttenberg 2023); 0 where absent.
   */
  readonly offsetNoise?: number;
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

/** Makes the batches of a run. */
export interface BatchMaker {
  /** The batch of a step; the caller disposes its tensors. */
  (step: number): Promise<NoisyBatch>;
  /**
   * What the choice of timesteps learns from the losses. Where it is there, a batch depends on the
   * losses of all steps before it, and is to be made only after them.
   */
  readonly memory?: SamplerMemory | undefined;
}

/** A function that makes the batch of a step. */
export function makeBatches(data: Dataset, options: BatchOptions): BatchMaker {
  const { seed, batchSize, alphasCumprod, prediction, weighting, labelled, labelDrop } = options;
  const sampler = options.timesteps ?? uniformTimesteps(alphasCumprod.length);
  const chain = options.chain ? chainOf(alphasCumprod) : undefined;
  const order = imageOrder(data.length, seed, batchSize);
  const { height, width, channels } = data;
  const shape: [number, number, number, number] = [batchSize, height, width, channels];
  const make = async (step: number): Promise<NoisyBatch> => {
    const { images, labels } = await data.batch(order(step));
    const { times, importance } = sampler.draw(philoxAt(seed, LEVELS, step).uniform(batchSize));
    const cumulative = Array.from(times, (t) => alphasCumprod[t] ?? 1);
    const perImage = (f: (share: number) => number) =>
      tf.tensor4d(cumulative.map(f), [batchSize, 1, 1, 1]);
    if (labelDrop !== undefined) {
      philoxAt(seed, DROPS, step).uniform(batchSize).forEach((draw, index) => {
        if (draw < labelDrop.share) labels[index] = labelDrop.nullClass;
      });
    }
    const noise = philoxAt(seed, NOISE, step).normal(images.length);
    if (options.offsetNoise) {
      const offsets = philoxAt(seed, OFFSETS, step).normal(batchSize * channels);
      addOffsets(noise, offsets, channels, options.offsetNoise);
    }
    return {
      x0: tf.tensor4d(images, shape),
      eps: tf.tensor4d(noise, shape),
      t: tf.tensor1d(Float32Array.from(times)),
      weight: tf.tensor1d(
        cumulative.map((share) => lossWeight(prediction, share / (1 - share), weighting)),
      ),
      importance: importance && tf.tensor1d(Float32Array.from(importance)),
      labels: labelled ? tf.tensor1d(labels, "int32") : undefined,
      ...(chain === undefined
        ? { alpha: perImage(Math.sqrt), sigma: perImage((share) => Math.sqrt(1 - share)) }
        : stepTensors(chain, times)),
    };
  };
  return Object.assign(make, { memory: sampler.memory });
}

/** Adds to each channel of each image an offset of its own. */
function addOffsets(
  noise: Float32Array,
  offsets: Float32Array,
  channels: number,
  deviation: number,
): void {
  const area = noise.length / offsets.length; // pixels of an image
  for (let index = 0; index < noise.length; index++) {
    const image = Math.floor(index / (area * channels));
    const offset = offsets[image * channels + index % channels] ?? 0;
    noise[index] = (noise[index] ?? 0) + deviation * offset;
  }
}
