import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import * as tf from "tfjs";
import {
  classifierGradient,
  encoderUNet,
  parseEncoderUNetConfig,
} from "../../models/encoder_unet.ts";
import { readJson } from "../../models/config.ts";
import { loadedParameters } from "../../models/parameters.ts";
import { readSafetensors } from "../../models/safetensors.ts";
import { scopeOf } from "../../models/scope.ts";
import type { Weights } from "../../models/weights.ts";
import { unet2d } from "../../models/unet_2d.ts";
import { openModel } from "../../pipeline/model.ts";
import { type FixtureTensor, readFixture } from "../_safetensors.ts";

const folderOf = (name: string) => fromFileUrl(new URL(`../fixtures/${name}`, import.meta.url));

const vector = ({ data }: FixtureTensor) => tf.tensor1d(Float32Array.from(data));

const integers = ({ data }: FixtureTensor) => tf.tensor1d(Int32Array.from(data), "int32");

type Shape = [number, number, number, number];

/** Images as NHWC, from NCHW. */
function images({ data, shape }: FixtureTensor): tf.Tensor4D {
  return tf.transpose(tf.tensor<tf.Rank.R4>(Float32Array.from(data), [...shape] as Shape), [
    0,
    2,
    3,
    1,
  ]);
}

/**
 * Compares each batch element with its own largest value: a wrong `norm_eps` moves an output by
 * only 1e-5 of it.
 */
function assertClose(actual: tf.Tensor, { data, shape }: FixtureTensor, tolerance: number): void {
  const planes = actual.rank === 4 ? tf.transpose(actual, [0, 3, 1, 2]) : actual;
  assertEquals(planes.shape, [...shape]);
  const values = planes.dataSync();
  const size = data.length / (shape[0] ?? 1);
  for (let start = 0; start < data.length; start += size) {
    let [largest, difference] = [0, 0];
    for (let index = start; index < start + size; index++) {
      largest = Math.max(largest, Math.abs(data[index]!));
      difference = Math.max(difference, Math.abs(data[index]! - values[index]!));
    }
    assert(
      difference <= tolerance * largest,
      `element ${start / size} differs by ${difference / largest} of its largest value`,
    );
  }
}

/** The scope over a checkpoint; `dispose()` also checks that each of its tensors was used. */
function openScope(weights: Weights) {
  const loaded = loadedParameters(weights);
  const used = new Set<string>();
  return {
    scope: scopeOf({ ...loaded, get: (spec) => (used.add(spec.name), loaded.get(spec)) }),
    dispose() {
      loaded.dispose();
      assertEquals([...weights.keys()].filter((name) => !used.has(name)), []);
    },
  };
}

/** Runs a check on the `cpu` backend, whose operations are plain loops, and frees its tensors. */
async function onCpu(check: () => void): Promise<void> {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  tf.tidy(check);
  assertEquals(tf.memory().numTensors, before);
}

const UNETS = [
  ["unet2d-ddpm", 1e-5],
  ["unet2d-ddpm-legacykeys", 1e-5],
  ["unet2d-classcond", 1e-5],
  ["unet2d-ncsnpp", 1e-4], // diffusers differs from itself in float64 by 1e-5
] as const;

for (const [name, tolerance] of UNETS) {
  Deno.test(`unet2d() gives what diffusers gives for ${name}`, () =>
    onCpu(() => {
      const { config, weights } = openModel(folderOf(name)).unet;
      const expected = readFixture(`${name}/expected.safetensors`);
      const labels = config.num_class_embeds === null
        ? undefined
        : integers(expected("class_labels"));
      const { scope, dispose } = openScope(weights);
      const y = unet2d(scope, config, images(expected("x")), vector(expected("t")), labels);
      dispose();
      assertClose(y, expected("y"), tolerance);
    }));
}

for (const pool of ["attention", "adaptive", "spatial"]) {
  const name = `openai-classifier-${pool}`;
  const open = () => {
    const path = `${folderOf(name)}/config.json`;
    return {
      config: parseEncoderUNetConfig(readJson(path), path),
      ...openScope(readSafetensors(`${folderOf(name)}/model.safetensors`).tensors),
      expected: readFixture(`${name}/expected.safetensors`),
    };
  };

  Deno.test(`encoderUNet() gives OpenAI's logits with ${pool} pooling`, () =>
    onCpu(() => {
      const { config, scope, dispose, expected } = open();
      const [x, t] = [images(expected("x")), vector(expected("t"))];
      const logits = encoderUNet(scope, config, x, t);
      dispose();
      assertClose(logits, expected("logits"), 1e-5);
    }));

  Deno.test(`classifierGradient() gives OpenAI's gradient with ${pool} pooling`, () =>
    onCpu(() => {
      const { config, scope, dispose, expected } = open();
      const [x, t] = [images(expected("x")), vector(expected("t"))];
      const labels = integers(expected("class_labels"));
      const gradient = classifierGradient(scope, config, x, t, labels);
      dispose();
      assertClose(gradient, expected("grad_x"), 1e-4);
    }));
}
