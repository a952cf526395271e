/**
 * Parameters of a checkpoint, checked against what the network asks for.
 *
 * @module
 */
import * as tf from "tfjs";
import { FROM_STORED, type ParameterSource, type ParameterSpec, storedShape } from "./scope.ts";
import { FLOAT_TYPES, type StoredTensor, type Weights } from "./weights.ts";

/**
 * The stored tensor that a network asks for.
 *
 * @throws {Error} Where it is missing, or has another shape or type.
 */
export function findStored(weights: Weights, spec: ParameterSpec): StoredTensor {
  const stored = weights.get(spec.name);
  const expected = storedShape(spec.shape, spec.layout);
  if (stored === undefined) {
    throw new Error(
      `Cannot load "${spec.name}": it is missing from the checkpoint (expected shape [${
        expected.join(", ")
      }]); config.json and weights do not belong together, or the file is not whole`,
    );
  }
  const same = stored.shape.length === expected.length &&
    expected.every((size, axis) => size === stored.shape[axis]);
  if (!same) {
    throw new Error(
      `Cannot load "${spec.name}": config.json makes its shape [${
        expected.join(", ")
      }], the checkpoint has [${stored.shape.join(", ")}]`,
    );
  }
  const { dtype } = stored;
  if (!FLOAT_TYPES.some((type) => type === dtype)) {
    throw new Error(
      `Cannot load "${spec.name}": its type is ${dtype}, weights must be ${FLOAT_TYPES.join(", ")}`,
    );
  }
  return stored;
}

/** Values of a stored tensor as a tensor in the layout that tfjs computes with. */
export function toTensor(stored: StoredTensor, spec: ParameterSpec): tf.Tensor {
  const order = FROM_STORED[spec.layout];
  const raw = tf.tensor(stored.read(), [...stored.shape], "float32");
  return order === undefined ? raw : tf.transpose(raw, [...order]);
}

/** Parameters of a checkpoint as tensors on the current backend, each loaded once and kept. */
export function loadedParameters(weights: Weights): ParameterSource & { dispose(): void } {
  const tensors = new Map<string, tf.Tensor>();
  return {
    get(spec) {
      const known = tensors.get(spec.name);
      if (known !== undefined) return known;
      const tensor = tf.keep(tf.tidy(() => toTensor(findStored(weights, spec), spec)));
      tensors.set(spec.name, tensor);
      return tensor;
    },
    has: (name) => weights.has(name),
    dispose() {
      for (const tensor of tensors.values()) tensor.dispose();
      tensors.clear();
    },
  };
}
