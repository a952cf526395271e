/**
 * Training that starts from the weights of a model.
 *
 * @module
 */
import * as tf from "tfjs";
import { findStored, toTensor } from "../models/parameters.ts";
import { type ParameterSpec, storedShape } from "../models/scope.ts";
import type { StoredTensor, Weights } from "../models/weights.ts";

/** Start values, and where they come from. */
export interface Initial {
  /** All parameters as one vector. */
  readonly values: Float32Array;
  /** Names of parameters that are as in the model. */
  readonly taken: readonly string[];
  /** Those of which only the first half is from there; the second is zero. */
  readonly widened: readonly string[];
  /** Those that the model does not have; they keep their drawn values. */
  readonly fresh: readonly string[];
}

/** What gains a second half of channels where the variance is to be learned. */
const OUTPUT = ["conv_out.weight", "conv_out.bias"];

/**
 * Lays a model's weights over drawn ones.
 *
 * @param drawn all parameters as one vector, for those that the model does not have.
 * @throws {Error} Where a weight has another shape, or no place in the network.
 */
export async function initialValues(
  specs: readonly ParameterSpec[],
  weights: Weights,
  drawn: Float32Array,
): Promise<Initial> {
  const names = new Set(specs.map(({ name }) => name));
  const homeless = [...weights.keys()].find((name) => !names.has(name));
  if (homeless !== undefined) {
    throw new Error(
      `Cannot start from "${homeless}": the network to be trained has no such parameter; leave the options of the network as the model has them`,
    );
  }
  const values = Float32Array.from(drawn);
  const [taken, widened, fresh] = [[], [], []] as [string[], string[], string[]];
  let offset = 0;
  for (const spec of specs) {
    const stored = weights.get(spec.name);
    if (stored === undefined) fresh.push(spec.name);
    else {
      const wide = widenedTo(spec, stored);
      (wide === undefined ? taken : widened).push(spec.name);
      values.set(await valuesOf(spec, wide ?? stored), offset);
    }
    offset += tf.util.sizeFromShape([...spec.shape]);
  }
  return { values, taken, widened, fresh };
}

/** The stored output layer with zeros for its second half, where the network has it twice as wide. */
function widenedTo(spec: ParameterSpec, stored: StoredTensor): StoredTensor | undefined {
  const [out = 0, ...rest] = storedShape(spec.shape, spec.layout);
  const [half = 0, ...others] = stored.shape;
  if (!OUTPUT.includes(spec.name) || out !== 2 * half || `${rest}` !== `${others}`) {
    return undefined;
  }
  const read = () => {
    const values = stored.read();
    const wide = new Float32Array(2 * values.length);
    wide.set(values);
    return wide;
  };
  return { name: stored.name, dtype: stored.dtype, shape: [out, ...rest], read };
}

/** A stored tensor's values as the network computes with them. */
async function valuesOf(spec: ParameterSpec, stored: StoredTensor): Promise<Float32Array> {
  const fitting = findStored(new Map([[spec.name, stored]]), spec);
  const tensor = tf.tidy(() => toTensor(fitting, spec));
  const values = await tensor.data<"float32">();
  tensor.dispose();
  return values;
}
