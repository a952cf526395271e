/**
 * The training of a noisy-image classifier (ADM, section 4.1).
 *
 * @module
 */
import * as tf from "tfjs";
import { encoderUNet, type EncoderUNetConfig } from "../models/encoder_unet.ts";
import { type BatchOptions, makeBatches } from "./batches.ts";
import type { Dataset } from "./data/dataset.ts";
import { addNoise, type NoisyBatch } from "./objective.ts";
import type { Task } from "./train.ts";

/** Cross-entropy of the labels of images at all noise levels. */
export function classifierTask(
  config: EncoderUNetConfig,
  data: Dataset,
  options: BatchOptions,
): Task<NoisyBatch> {
  return {
    probe: (scope) =>
      encoderUNet(
        scope,
        config,
        tf.zeros([1, data.height, data.width, data.channels]),
        tf.zeros([1]),
      ),
    batch: makeBatches(data, options),
    loss(scope, batch) {
      const logits = encoderUNet(scope, config, addNoise(batch), batch.t);
      const chosen = tf.oneHot(labelsOf(batch), config.out_channels).toFloat();
      return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), chosen), 1)) as tf.Tensor1D;
    },
  };
}

function labelsOf({ labels }: NoisyBatch): tf.Tensor1D {
  if (labels === undefined) throw new TypeError("Cannot train a classifier on data without labels");
  return labels;
}

/** The bands of noise over which accuracy is told: equal shares of the timesteps. */
export const BANDS = 10;

/** What a classifier is measured on. */
export interface HeldOut {
  /** Makes a batch, with as many images in each band. */
  readonly batch: (step: number) => Promise<NoisyBatch>;
  readonly batches: number;
  /** Timesteps of the noise schedule. */
  readonly timesteps: number;
  /** {@linkcode BANDS} where absent. */
  readonly bands?: number;
}

/**
 * Share of images that a classifier reads right, for each band of the timesteps from the least
 * noise to the most. Noise and timesteps depend on the seed alone, so figures can be compared.
 *
 * @param logits the classifier, on any engine.
 */
export async function accuracyByBand(
  logits: (x: tf.Tensor4D, t: tf.Tensor1D) => Promise<tf.Tensor>,
  { batch, batches, timesteps, bands = BANDS }: HeldOut,
): Promise<number[]> {
  const [right, seen] = [new Float64Array(bands), new Float64Array(bands)];
  for (let step = 0; step < batches; step++) {
    const noisy = await batch(step);
    const x = tf.tidy(() => addNoise(noisy));
    const answer = await logits(x, noisy.t);
    const hits = tf.tidy(() => tf.equal(tf.argMax(answer, 1), labelsOf(noisy)));
    const times = await noisy.t.data();
    (await hits.data()).forEach((hit, index) => {
      const band = Math.min(bands - 1, Math.floor((times[index] ?? 0) / timesteps * bands));
      right[band] = (right[band] ?? 0) + hit;
      seen[band] = (seen[band] ?? 0) + 1;
    });
    tf.dispose([x, answer, hits, noisy]);
  }
  return Array.from(right, (count, band) => count / Math.max(1, seen[band] ?? 1));
}
