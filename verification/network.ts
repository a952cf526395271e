/**
 * Runs a network's folder on the inputs of its `expected.safetensors`.
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import { readJson } from "../models/config.ts";
import type { StoredTensor } from "../models/weights.ts";
import { openWeights } from "../pipeline/model.ts";
import { classOf, KINDS } from "./kinds.ts";
import type { Found, Recorded } from "./mod.ts";

/** A stored tensor as networks take it: images with the channels last. */
function toInput({ name, shape, dtype, read }: StoredTensor): tf.Tensor {
  const values = read();
  if (/^[IU]\d|BOOL/.test(dtype)) return tf.tensor(Int32Array.from(values), [...shape], "int32");
  const planes = tf.tensor(values, [...shape], "float32");
  if (shape.length > 4) throw new TypeError(`Cannot use "${name}": it has ${shape.length} axes`);
  return shape.length === 4 ? tf.transpose(planes, [0, 2, 3, 1]) : planes;
}

/** What a network gives as it is stored: images with the channels first. */
async function toFound(name: string, tensor: tf.Tensor): Promise<Found> {
  const planes = tensor.rank === 4 ? tf.transpose(tensor, [0, 3, 1, 2]) : tensor;
  const data = await planes.data();
  const measure = tensor.dtype === "int32" ? "exact" : "element";
  return { name, shape: planes.shape, data, measure };
}

/**
 * Computes what is expected of a network, one computation after another.
 *
 * @throws {TypeError} Where its class is not known, or an input is missing.
 */
export async function* runNetwork(
  folder: string,
  recorded: Recorded,
  engine: Engine,
): AsyncGenerator<Found> {
  const path = join(folder, "config.json");
  const config = readJson(path);
  const name = classOf(config);
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) {
    throw new TypeError(
      `Cannot verify "${folder}": a network of class ${name} is not known, only ${
        Object.keys(KINDS).join(", ")
      }`,
    );
  }
  const weights = openWeights(folder);
  for (const { inputs, outputs, computation } of kind(config, path)) {
    if (!outputs.some((output) => recorded.names.includes(output))) continue;
    const given = inputs.map((input) => {
      const stored = recorded.get(input);
      if (stored !== undefined) return stored;
      throw new TypeError(
        `Cannot verify "${folder}": expected.safetensors holds ${
          outputs.join(" and ")
        }, and no "${input}" to compute it from`,
      );
    });
    const tensors = tf.tidy(() => given.map(toInput));
    const answers = await engine.compile(computation, weights)(...tensors);
    for (const [index, answer] of answers.entries()) {
      const output = outputs[index] ?? "";
      if (recorded.names.includes(output)) yield await toFound(output, answer);
    }
    tf.dispose([...tensors, ...answers]);
  }
}
