/**
 * Checkpoints of a training run: one file with the whole state, replaced atomically.
 *
 * @module
 */
import * as tf from "tfjs";
import { encodeSafetensors, readSafetensors } from "../models/safetensors.ts";
import { writeAtomic } from "../images/atomic.ts";
import type { OptimizerState } from "./adamw.ts";

const PARTS = ["weights", "mean", "square", "average"] as const;

/** A saved run. */
export interface Checkpoint {
  /** Steps made. */
  readonly step: number;
  /** The settings that the run was started with. */
  readonly settings: unknown;
  /** The parts of the state as vectors. */
  readonly parts: Readonly<Record<(typeof PARTS)[number], Float32Array>>;
}

/** Writes the state; an interrupted write leaves the previous checkpoint whole. */
export async function saveCheckpoint(
  path: string,
  step: number,
  settings: unknown,
  state: OptimizerState,
): Promise<void> {
  const tensors = new Map<string, { shape: number[]; values: Float32Array }>();
  for (const part of PARTS) {
    const values = await state[part].data() as Float32Array;
    tensors.set(part, { shape: [values.length], values });
  }
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
    parts: {
      weights: read("weights"),
      mean: read("mean"),
      square: read("square"),
      average: read("average"),
    },
  };
}

/** The state of a checkpoint on the current backend. */
export function stateOf(parts: Checkpoint["parts"]): OptimizerState {
  return {
    weights: tf.tensor1d(parts.weights),
    mean: tf.tensor1d(parts.mean),
    square: tf.tensor1d(parts.square),
    average: tf.tensor1d(parts.average),
  };
}

/** The state that a run starts with. */
export function freshState(weights: Float32Array): OptimizerState {
  const zeros = new Float32Array(weights.length);
  return stateOf({ weights, mean: zeros, square: zeros, average: weights });
}
