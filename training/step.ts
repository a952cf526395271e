/**
 * One step of training: loss, gradient, optimiser and moving average as one function of tensors.
 *
 * @module
 */
import * as tf from "tfjs";
import type { ParameterSpec, Scope } from "../models/scope.ts";
import { adamw, type OptimizerState, type StepRates } from "./adamw.ts";
import { flatten, scopeOver, unflatten } from "./parameters.ts";

/** What a step reports. */
export type StepResult = {
  readonly state: OptimizerState;
  readonly loss: tf.Scalar;
  /** The gradient's norm before clipping. */
  readonly norm: tf.Scalar;
};

/**
 * Moves the weights one step down the gradient of a loss (Algorithm 1 of DDPM, where the loss is
 * L_simple). Pure: run it in a tidy and keep what it returns.
 */
export function trainingStep(
  loss: (scope: Scope) => tf.Scalar,
  specs: readonly ParameterSpec[],
  state: OptimizerState,
  rates: StepRates,
): StepResult {
  const parameters = unflatten(state.weights, specs);
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) =>
    loss(scopeOver(specs, tensors))
  )(parameters);
  const { state: next, norm } = adamw(state, flatten(grads), rates);
  return { state: next, loss: value as tf.Scalar, norm };
}
