/**
 * The contract of an engine: it takes a network, written in tfjs operations, and returns a
 * function that computes it.
 *
 * @module
 */
import type * as tf from "tfjs";
import type { Scope } from "../models/scope.ts";
import type { Weights } from "../models/weights.ts";

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

/** Runs computations. */
export interface Engine {
  readonly name: string;
  /** What it runs on, for people, such as `ONNX Runtime 1.30 on the CPU, 2 threads`. */
  readonly description: string;
  /**
   * Prepares a computation over a checkpoint's weights. Shapes may differ from call to call; what
   * depends on them is prepared at the first call with each.
   */
  compile(computation: Computation, weights: Weights): Compiled;
  /**
   * Prepares an iteration from a first state. Its inputs have the same shapes at every call. Absent
   * where the iteration may as well be run on the current tfjs backend.
   */
  iterate?(iteration: Iteration, start: readonly StatePart[]): Iterated;
  /** Frees sessions, workers and weights. */
  dispose(): Promise<void>;
}
