/**
 * A network's parameters as one vector: the optimizer and the moving average then work on a few
 * large arrays instead of on hundreds of small ones.
 *
 * @module
 */
import * as tf from "tfjs";
import { type ParameterSpec, scopeOf, storedShape, TO_STORED } from "../models/scope.ts";
import type { Scope } from "../models/scope.ts";
import type { NewTensor } from "../models/safetensors.ts";
import { findStored, toTensor } from "../models/parameters.ts";
import type { Weights } from "../models/weights.ts";

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** Elements of all parameters together. */
export function totalSize(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** The parameters that a network asks for, in its order, found by running it once. */
export function recordParameters(network: (scope: Scope) => unknown): ParameterSpec[] {
  const specs: ParameterSpec[] = [];
  const seen = new Map<string, tf.Tensor>();
  tf.tidy(() => {
    network(scopeOf({
      get(spec) {
        const known = seen.get(spec.name);
        if (known !== undefined) return known;
        specs.push(spec);
        const tensor = tf.zeros([...spec.shape]);
        seen.set(spec.name, tensor);
        return tensor;
      },
      has: (_, otherwise) => otherwise,
    }));
    return [];
  });
  return specs;
}

/** The vector cut into parameters; gradients flow through. */
export function unflatten(vector: tf.Tensor1D, specs: readonly ParameterSpec[]): tf.Tensor[] {
  const parts = tf.split(vector, specs.map(({ shape }) => sizeOf(shape)));
  return parts.map((part, index) => tf.reshape(part, [...specs[index]?.shape ?? []]));
}

/** Parameters, or their gradients, as one vector. */
export function flatten(parameters: readonly tf.Tensor[]): tf.Tensor1D {
  return tf.concat(parameters.map((parameter) => tf.reshape(parameter, [-1]))) as tf.Tensor1D;
}

/** A scope that answers with these tensors. */
export function scopeOver(specs: readonly ParameterSpec[], tensors: readonly tf.Tensor[]): Scope {
  const byName = new Map(specs.map(({ name }, index) => [name, tensors[index]]));
  return scopeOf({
    get({ name }) {
      const tensor = byName.get(name);
      if (tensor === undefined) throw new Error(`The network asked for "${name}" only now`);
      return tensor;
    },
    has: (name) => byName.has(name),
  });
}

/** Draws `count` numbers: uniform in [0, 1), or normal. */
export interface StartNoise {
  uniform(name: string, count: number): Float32Array;
  normal(name: string, count: number): Float32Array;
}

/** The start values of all parameters as one vector; each depends on its name and the seed only. */
export function startValues(specs: readonly ParameterSpec[], noise: StartNoise): Float32Array {
  const values = new Float32Array(totalSize(specs));
  let offset = 0;
  for (const { name, shape, init } of specs) {
    const size = sizeOf(shape);
    const part = values.subarray(offset, offset + size);
    if ("constant" in init) part.fill(init.constant);
    else if ("uniform" in init) {
      part.set(noise.uniform(name, size).map((share) => (2 * share - 1) * init.uniform));
    } else part.set(noise.normal(name, size).map((value) => value * init.normal));
    offset += size;
  }
  return values;
}

/** The vector of a checkpoint's parameters. */
export async function vectorOf(
  specs: readonly ParameterSpec[],
  weights: Weights,
): Promise<Float32Array> {
  const vector = tf.tidy(() =>
    flatten(specs.map((spec) => toTensor(findStored(weights, spec), spec)))
  );
  const values = await vector.data() as Float32Array;
  vector.dispose();
  return values;
}

/** The vector as named tensors in the layout of a checkpoint. */
export async function namedTensors(
  vector: tf.Tensor1D,
  specs: readonly ParameterSpec[],
): Promise<Map<string, NewTensor>> {
  const tensors = tf.tidy(() =>
    unflatten(vector, specs).map((tensor, index) => {
      const order = TO_STORED[specs[index]?.layout ?? "same"];
      return order === undefined ? tensor : tf.transpose(tensor, [...order]);
    })
  );
  const named = new Map<string, NewTensor>();
  for (const [index, { name, shape, layout }] of specs.entries()) {
    const values = await tensors[index]?.data() as Float32Array;
    named.set(name, { shape: storedShape(shape, layout), values });
  }
  tf.dispose(tensors);
  return named;
}
