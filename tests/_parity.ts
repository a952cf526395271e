/**
 * Networks with what other libraries gave for them: the fixtures `unet2d-*` (diffusers),
 * `openai-unet-*` and `openai-classifier-*` (guided-diffusion).
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import * as tf from "tfjs";
import type { Computation } from "../engines/engine.ts";
import { readJson } from "../models/config.ts";
import { classifierGradient, encoderUNet, parseEncoderUNetConfig } from "../models/encoder_unet.ts";
import { readSafetensors } from "../models/safetensors.ts";
import type { Weights } from "../models/weights.ts";
import { openModel } from "../pipeline/model.ts";
import { type FixtureTensor, readFixture } from "./_safetensors.ts";

/** A computation of a fixture. */
export interface Parity {
  readonly weights: Weights;
  readonly computation: Computation;
  /** New tensors: images, timesteps and, where they are used, labels. */
  inputs(): tf.Tensor[];
  /** What it must give: a tensor for each of its results. */
  readonly expected: readonly FixtureTensor[];
}

/** The folder of a fixture. */
export function folderOf(name: string): string {
  return fromFileUrl(new URL(`fixtures/${name}`, import.meta.url));
}

type Shape = [number, number, number, number];

/** Images as NHWC, from NCHW. */
export function images({ data, shape }: FixtureTensor): tf.Tensor {
  const planes = tf.tensor<tf.Rank.R4>(Float32Array.from(data), [...shape] as Shape);
  return tf.transpose(planes, [0, 2, 3, 1]);
}

const vector = ({ data }: FixtureTensor) => tf.tensor1d(Float32Array.from(data));

/** Indices as integers. */
export function integers({ data, shape }: FixtureTensor): tf.Tensor {
  return tf.tensor(Int32Array.from(data), [...shape], "int32");
}

/** A UNet of diffusers, whose answer is `y`, or of OpenAI, whose answer is `out`. */
export function unetOf(name: string): Parity {
  const { kind, answer, classes, weights } = openModel(folderOf(name)).unet;
  const tensor = readFixture(`${name}/expected.safetensors`);
  const labels = classes === null ? [] : ["class_labels"];
  return {
    weights,
    // The inputs below, which a computation of any number of inputs cannot type.
    computation: (scope, ...inputs) => [answer(scope, ...inputs as [tf.Tensor, tf.Tensor])],
    inputs: () => [images(tensor("x")), vector(tensor("t")), ...labels.map(tensor).map(integers)],
    expected: [tensor(kind === "UNet2DModel" ? "y" : "out")],
  };
}

/** OpenAI's noisy-image classifier: its logits, and the gradient by its input. */
export function classifierOf(name: string): { readonly logits: Parity; readonly gradient: Parity } {
  const path = `${folderOf(name)}/config.json`;
  const config = parseEncoderUNetConfig(readJson(path), path);
  const weights = readSafetensors(`${folderOf(name)}/model.safetensors`).tensors;
  const tensor = readFixture(`${name}/expected.safetensors`);
  const inputs = () => [images(tensor("x")), vector(tensor("t"))];
  return {
    logits: {
      weights,
      computation: (scope, ...inputs) => [
        encoderUNet(...[scope, config, ...inputs] as Parameters<typeof encoderUNet>),
      ],
      inputs,
      expected: [tensor("logits")],
    },
    gradient: {
      weights,
      computation: (scope, ...inputs) => [
        classifierGradient(...[scope, config, ...inputs] as Parameters<typeof classifierGradient>),
      ],
      inputs: () => [...inputs(), integers(tensor("class_labels"))],
      expected: [tensor("grad_x")],
    },
  };
}

/** {@linkcode differencesOf} of all results, one after another. */
export function allDifferences(
  actual: readonly tf.Tensor[],
  expected: readonly FixtureTensor[],
): number[] {
  if (actual.length !== expected.length) {
    throw new TypeError(`there are ${actual.length} results, not ${expected.length}`);
  }
  return expected.flatMap((tensor, index) => differencesOf(actual[index]!, tensor));
}

/**
 * The largest difference in each batch element, as a share of that element's own largest value: a
 * wrong `norm_eps` moves an output by only 1e-5 of it.
 *
 * @throws {TypeError} Where the shapes differ.
 */
export function differencesOf(actual: tf.Tensor, { data, shape }: FixtureTensor): number[] {
  const planes = actual.rank === 4 ? tf.transpose(actual, [0, 3, 1, 2]) : actual;
  if (String(planes.shape) !== String(shape)) {
    throw new TypeError(`the shape is [${planes.shape.join(", ")}], not [${shape.join(", ")}]`);
  }
  const values = planes.dataSync();
  const size = data.length / (shape[0] ?? 1);
  return Array.from({ length: shape[0] ?? 1 }, (_, element) => {
    let [largest, difference] = [0, 0];
    for (let index = element * size; index < (element + 1) * size; index++) {
      largest = Math.max(largest, Math.abs(data[index]!));
      difference = Math.max(difference, Math.abs(data[index]! - values[index]!));
    }
    return difference / largest;
  });
}
