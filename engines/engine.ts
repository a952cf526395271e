/**
 * The contract of an engine: it takes a network, written in tfjs operations, and returns a
 * function that computes it.
 *
 * @module
 */
import type * as tf from "tfjs";
import type { Scope } from "../models/scope.ts";
import type { Weights } from "../models/weights.ts";
import type { Scales } from "../quantization/scales.ts";

/** A computation in tfjs operations over parameters and inputs; it may use `tf.grad` inside. */
export type Computation = (scope: Scope, ...inputs: tf.Tensor[]) => tf.Tensor[];

/**
 * Computes: tensors in, tensors out, on the host's tfjs backend. It neither keeps nor disposes its
 * inputs, and its outputs belong to the caller (inside the caller's tensor scope, if any).
 */
export interface Compiled {
  (...inputs: tf.Tensor[]): Promise<tf.Tensor[]>;
  /**
   * Frees its sessions and weights, after the calls that were made. A later call prepares them anew.
   * Absent where it holds nothing.
   */
  release?(): Promise<void>;
}

/** A computation that carries tensors on from call to call, such as a step of training. */
export type Iteration = (
  state: readonly tf.Tensor[],
  inputs: readonly tf.Tensor[],
) => { readonly state: readonly tf.Tensor[]; readonly outputs: readonly tf.Tensor[] };

/** A part of what an iteration carries on. */
export interface StatePart {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** An iteration whose state the engine holds. */
export interface Iterated {
  /** Moves the state on by one call; the outputs belong to the caller. */
  next(...inputs: tf.Tensor[]): Promise<tf.Tensor[]>;
  /** The parts of the state as they are now, copied. */
  read(): Promise<Float32Array[]>;
  /** Frees the state. */
  dispose(): Promise<void>;
}

/** What one layer took and gave in a run, as it lies in memory: `[outer, channels, inner]`. */
export interface LayerValues {
  readonly layer: string;
  readonly kind: "convolution" | "product";
  /** Its input, by the parts that are concatenated. */
  readonly parts: readonly ChannelValues[];
  readonly output: ChannelValues;
}

/** Values of some channels. */
export interface ChannelValues {
  readonly values: Float32Array;
  readonly channels: number;
  /** How many values of one channel lie side by side. */
  readonly inner: number;
}

/** Computing in bytes. */
export interface Bytes {
  /**
   * Whether sums of products of unsigned and signed bytes are exact, as they are where the processor
   * has an instruction for them (VNNI of x86, the dot products of Arm) and bytes are fast.
   */
  exact(): Promise<boolean>;
  /** Prepares a computation whose layers are looked at: every call tells what each took and gave. */
  watch(
    computation: Computation,
    weights: Weights,
    onLayers: (layers: readonly LayerValues[]) => void,
  ): Compiled;
}

/** Runs computations. */
export interface Engine {
  readonly name: string;
  /** What it runs on, for people, such as `ONNX Runtime 1.30 on the CPU, 2 threads`. */
  readonly description: string;
  /**
   * Prepares a computation over a checkpoint's weights. Shapes may differ from call to call; what
   * depends on them is prepared at the first call with each.
   *
   * @param scales The layers that are computed in bytes; only where {@linkcode bytes} says so.
   */
  compile(computation: Computation, weights: Weights, scales?: Scales): Compiled;
  /** What it takes to compute layers in bytes; absent where it cannot. */
  readonly bytes?: Bytes | undefined;
  /**
   * Prepares an iteration from a first state. Its inputs have the same shapes at every call. Absent
   * where the iteration may as well be run on the current tfjs backend.
   */
  iterate?(iteration: Iteration, start: readonly StatePart[]): Iterated;
  /** Frees sessions, workers and weights. */
  dispose(): Promise<void>;
}
