/**
 * Checkpoints of a training run: one file with the whole state, replaced atomically.
 *
 * @module
 */
import * as tf from "tfjs";
import { encodeSafetensors, type NewTensor, readSafetensors } from "../models/safetensors.ts";
import { writeAtomic } from "../images/atomic.ts";
import type { OptimizerState } from "./adamw.ts";

/** The parts of a run's state, in their order. */
export const PARTS = ["weights", "mean", "square", "average"] as const;

/** The state as vectors in memory. */
export type Parts = Readonly<Record<(typeof PARTS)[number], Float32Array>>;

/** A saved run. */
export interface Checkpoint {
  /** Steps made. */
  readonly step: number;
  /** The settings that the run was started with. */
  readonly settings: unknown;
  readonly parts: Parts;
  /** What the choice of timesteps remembers, where it does. */
  readonly memory?: Float32Array | undefined;
}

/** The name of {@linkcode Checkpoint.memory} in the file. */
const MEMORY = "timesteps";

/** Writes the state; an interrupted write leaves the previous checkpoint whole. */
export async function saveCheckpoint(
  path: string,
  { step, settings, parts, memory }: Checkpoint,
): Promise<void> {
  const vector = (values: Float32Array) => ({ shape: [values.length], values });
  const tensors = new Map<string, NewTensor>(PARTS.map((part) => [part, vector(parts[part])]));
  if (memory !== undefined) tensors.set(MEMORY, vector(memory));
  const metadata = { step: String(step), settings: JSON.stringify(settings) };
  await writeAtomic(path, encodeSafetensors(tensors, "F32", metadata));
}

/**
 * Reads a checkpoint.
 *
 * @param size elements of all parameters together.
 * @throws {Error} Where the file is damaged or belongs to another network.
 */
export function loadCheckpoint(path: string, size?: number): Checkpoint {
  const { tensors, metadata } = readSafetensors(path);
  const read = (part: string): Float32Array => {
    const stored = tensors.get(part);
    if (stored === undefined) throw new Error(`Cannot resume from "${path}": it has no "${part}"`);
    if (size !== undefined && stored.shape[0] !== size) {
      throw new Error(
        `Cannot resume from "${path}": it holds ${
          stored.shape[0]
        } parameters, the network has ${size}`,
      );
    }
    return stored.read();
  };
  const step = Number(metadata["step"]);
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new Error(`Cannot resume from "${path}": its step is ${metadata["step"]}`);
  }
  let settings: unknown;
  try {
    settings = JSON.parse(metadata["settings"] ?? "{}");
  } catch (cause) {
    throw new Error(`Cannot resume from "${path}": its settings are not JSON`, { cause });
  }
  return {
    step,
    settings,
    memory: tensors.get(MEMORY)?.read(),
    parts: {
      weights: read("weights"),
      mean: read("mean"),
      square: read("square"),
      average: read("average"),
    },
  };
}

/** The state of a checkpoint on the current backend. */
export function stateOf(parts: Parts): OptimizerState {
  return {
    weights: tf.tensor1d(parts.weights),
    mean: tf.tensor1d(parts.mean),
    square: tf.tensor1d(parts.square),
    average: tf.tensor1d(parts.average),
  };
}

/** The values of a state. */
export async function partsOf(state: OptimizerState): Promise<Parts> {
  const read = async (part: keyof Parts) => await state[part].data() as Float32Array;
  return {
    weights: await read("weights"),
    mean: await read("mean"),
    square: await read("square"),
    average: await read("average"),
  };
}

/** The parts that a run starts with. */
export function freshParts(weights: Float32Array): Parts {
  const zeros = new Float32Array(weights.length);
  return { weights, mean: zeros, square: zeros, average: weights };
}

/** {@linkcode freshParts} on the current backend. */
export function freshState(weights: Float32Array): OptimizerState {
  return stateOf(freshParts(weights));
}
