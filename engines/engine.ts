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
export type Compiled = (...inputs: tf.Tensor[]) => Promise<tf.Tensor[]>;

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
  /** Frees sessions, workers and weights. */
  dispose(): Promise<void>;
}
