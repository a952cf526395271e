/**
 * The inputs of the measurements, the same as in inputs.py.
 *
 * @module
 */
import * as tf from "tfjs";
import type { UNet2DConfig } from "../models/unet_2d.ts";
import type { NoisyBatch } from "../training/objective.ts";

/** Images of a sine in the order of NCHW, as NHWC. */
function waves(
  [batch, height, width, channels]: readonly [number, number, number, number],
  pace: number,
  size: number,
): tf.Tensor4D {
  const values = Float32Array.from(
    { length: batch * channels * height * width },
    (_, index) => size * Math.sin(pace * index),
  );
  return tf.tidy(() =>
    tf.transpose(tf.tensor4d(values, [batch, channels, height, width]), [0, 2, 3, 1])
  );
}

function shapeOf(config: UNet2DConfig, batch: number): [number, number, number, number] {
  const edge = config.sample_size ?? 32;
  return [batch, edge, edge, config.in_channels];
}

const count = (length: number, value: (index: number) => number) =>
  Array.from({ length }, (_, i) => value(i));

/** What a network is given in a forward pass: x, t and, where it has classes, labels. */
export function forwardInputs(config: UNet2DConfig, batch: number): tf.Tensor[] {
  const classes = config.num_class_embeds;
  return [
    waves(shapeOf(config, batch), 0.37, 1.5),
    tf.tensor1d(count(batch, (i) => (100 + 37 * i) % 1000), "float32"),
    ...classes === null ? [] : [tf.tensor1d(count(batch, (i) => i % classes), "int32")],
  ];
}

/** The batch of a training step. */
export function trainingInputs(config: UNet2DConfig, batch: number): NoisyBatch {
  const share = (i: number) => (i + 0.5) / batch;
  const shape = shapeOf(config, batch);
  const perImage = (value: (index: number) => number) =>
    tf.tensor4d(count(batch, value), [batch, 1, 1, 1]);
  return {
    x0: waves(shape, 0.37, 1),
    eps: waves(shape, 1.13, 1.4),
    t: tf.tensor1d(count(batch, (i) => Math.floor(1000 * share(i))), "float32"),
    alpha: perImage((i) => Math.cos(Math.PI / 2 * share(i))),
    sigma: perImage((i) => Math.sin(Math.PI / 2 * share(i))),
    weight: tf.ones([batch]),
    labels: tf.tensor1d(count(batch, (i) => i % (config.num_class_embeds ?? 1)), "int32"),
  };
}
