/**
 * One step of training: loss, gradient, optimizer and moving average as one function of tensors,
 * and what makes such steps one after another.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import type { ParameterSpec, Scope } from "../models/scope.ts";
import {
  adamw,
  FACTORS,
  type Factors,
  factorsOf,
  type OptimizerState,
  type StepRates,
} from "./adamw.ts";
import { PARTS, type Parts, partsOf, stateOf } from "./checkpoint.ts";
import { flatten, scopeOver, unflatten } from "./parameters.ts";

/** What a step reports. */
export type StepResult = {
  readonly state: OptimizerState;
  /** Of each image, `[batch]`, divided by the size of the batch. */
  readonly losses: tf.Tensor1D;
  /** The gradient's norm before clipping. */
  readonly norm: tf.Scalar;
};

/**
 * Moves the weights one step down the gradient of the mean of the images' losses (Algorithm 1 of
 * DDPM, where the loss is L_simple). Pure: run it in a tidy and keep what it returns.
 *
 * @param factors The rates' own; scalars in a graph that serves all steps
 */
export function trainingStep(
  loss: (scope: Scope) => tf.Tensor1D,
  specs: readonly ParameterSpec[],
  state: OptimizerState,
  rates: StepRates,
  factors?: Factors,
): StepResult {
  const parameters = unflatten(state.weights, specs);
  // Gradients of a vector are those of its sum.
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const losses = loss(scopeOver(specs, tensors));
    return tf.div(losses, losses.size);
  })(parameters);
  const { state: next, norm } = adamw(state, flatten(grads), rates, factors);
  return { state: next, losses: value as tf.Tensor1D, norm };
}

/** Tensors by name; absent ones are the same at every step. */
export type Batch = Readonly<Record<string, tf.Tensor | undefined>>;

/** What a step reports, as numbers. */
export interface StepNumbers {
  /** The mean loss. */
  readonly loss: number;
  /** The loss of each image. */
  readonly losses: readonly number[];
  readonly norm: number;
}

/** Makes steps, and holds the state between them. */
export interface Stepper<B extends Batch> {
  /** Makes a step on a batch, which stays the caller's. */
  step(batch: B, rates: StepRates): Promise<StepNumbers>;
  /** A copy of the state. */
  parts(): Promise<Parts>;
  /** Frees the state. */
  dispose(): Promise<void>;
}

/** The loss of each image of a batch under parameters, `[batch]`. */
export type Loss<B extends Batch> = (scope: Scope, batch: B) => tf.Tensor1D;

/** Steps on an engine: as one graph where it takes one, else on the current tfjs backend. */
export function stepperOf<B extends Batch>(
  loss: Loss<B>,
  specs: readonly ParameterSpec[],
  start: Parts,
  engine?: Engine,
): Stepper<B> {
  const iterate = engine?.iterate;
  return iterate === undefined
    ? eagerStepper(loss, specs, start)
    : tracedStepper(loss, specs, start, iterate);
}

function eagerStepper<B extends Batch>(
  loss: Loss<B>,
  specs: readonly ParameterSpec[],
  start: Parts,
): Stepper<B> {
  let state = stateOf(start);
  return {
    async step(batch, rates) {
      const made = tf.tidy(() => trainingStep((scope) => loss(scope, batch), specs, state, rates));
      tf.dispose(state);
      state = made.state;
      return await numbersOf(made);
    },
    parts: () => partsOf(state),
    dispose() {
      tf.dispose(state);
      return Promise.resolve();
    },
  };
}

function tracedStepper<B extends Batch>(
  loss: Loss<B>,
  specs: readonly ParameterSpec[],
  start: Parts,
  iterate: NonNullable<Engine["iterate"]>,
): Stepper<B> {
  let first: { batch: B; rates: StepRates } | undefined; // names, and rates that do not change
  const iterated = iterate((state, inputs) => {
    if (first === undefined) throw new Error("Cannot trace a step before the first batch");
    const [factors, tensors] = [inputs.slice(0, FACTORS.length), inputs.slice(FACTORS.length)];
    const batch = { ...first.batch, ...named(namesOf(first.batch), tensors) };
    const { state: next, losses, norm } = trainingStep(
      (scope) => loss(scope, batch),
      specs,
      named(PARTS, state.map((part) => part.as1D())),
      first.rates,
      named(FACTORS, factors.map((factor) => factor.asScalar())),
    );
    return { state: PARTS.map((part) => next[part]), outputs: [losses, norm] };
  }, PARTS.map((part) => ({ shape: [start[part].length], values: start[part] })));
  return {
    async step(batch, rates) {
      first ??= { batch, rates };
      const factors = factorsOf(rates);
      const scalars = FACTORS.map((name) => tf.scalar(factors[name]));
      const tensors = namesOf(batch).flatMap((name) => batch[name] ?? []);
      const pending = iterated.next(...scalars, ...tensors);
      tf.dispose(scalars);
      const [losses, norm] = await pending;
      return await numbersOf({ losses, norm });
    },
    parts: async () => named(PARTS, await iterated.read()),
    dispose: () => iterated.dispose(),
  };
}

/** The tensors that a batch has. */
function namesOf(batch: Batch): string[] {
  return Object.keys(batch).filter((name) => batch[name] !== undefined);
}

/** A record of values in the order of their names. */
function named<N extends string, T>(names: readonly N[], values: readonly T[]): Record<N, T> {
  return Object.fromEntries(names.map((name, index) => [name, values[index]])) as Record<N, T>;
}

/** Reads the numbers of a step and frees them. */
async function numbersOf(
  made: { readonly losses: tf.Tensor | undefined; readonly norm: tf.Tensor | undefined },
): Promise<StepNumbers> {
  const read = async (tensor: tf.Tensor | undefined) => Array.from(await tensor?.data() ?? [NaN]);
  const [shares, [norm = NaN]] = [await read(made.losses), await read(made.norm)];
  made.losses?.dispose();
  made.norm?.dispose();
  return {
    loss: shares.reduce((sum, share) => sum + share, 0),
    losses: shares.map((share) => share * shares.length),
    norm,
  };
}
