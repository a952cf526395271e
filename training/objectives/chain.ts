/**
 * The reverse chain in numbers: what each of its steps weighs.
 *
 * @module
 */
import * as tf from "tfjs";
import { CLEAN, levelAt, posterior } from "../../schedules/mod.ts";

/** The step from one level of the chain to the next cleaner one, in doubles. */
export interface ChainStep {
  /** √ᾱ where the step starts. */
  readonly alpha: number;
  /** √(1 − ᾱ) there. */
  readonly sigma: number;
  /** What x0 weighs in the posterior's mean (DDPM, equation 7). */
  readonly fromX0: number;
  /** What x weighs in it. */
  readonly fromX: number;
  /** The posterior's variance, 0 in the last step. */
  readonly variance: number;
  /** Its logarithm; the last step takes that of the step before it, as its own is -Infinity. */
  readonly low: number;
  /** The logarithm of beta, the upper bound of the variance. */
  readonly high: number;
}

/**
 * All steps of a chain, the last (to the clean image) first, so that step t starts at timestep t.
 *
 * @param alphasCumprod ᾱ of the chain's levels, falling; a respaced chain keeps only some.
 */
export function chainOf(alphasCumprod: ArrayLike<number>): ChainStep[] {
  const steps = Array.from(alphasCumprod, (_, t) => {
    const from = levelAt(alphasCumprod, t);
    const to = t === 0 ? CLEAN : levelAt(alphasCumprod, t - 1);
    const { x0: fromX0, x: fromX, variance, beta } = posterior(from, to);
    const { alpha, sigma } = from;
    return { alpha, sigma, fromX0, fromX, variance, low: Math.log(variance), high: Math.log(beta) };
  });
  const [last, before] = steps;
  if (last === undefined) throw new RangeError("Cannot make a chain of no levels");
  return [{ ...last, low: before?.low ?? last.high }, ...steps.slice(1)];
}

/** Steps of images, `[batch, 1, 1, 1]` each. */
export type StepTensors = {
  readonly alpha: tf.Tensor4D;
  readonly sigma: tf.Tensor4D;
  readonly fromX0: tf.Tensor4D;
  readonly fromX: tf.Tensor4D;
  readonly variance: tf.Tensor4D;
  readonly low: tf.Tensor4D;
  readonly high: tf.Tensor4D;
  /** 1 where the step ends at the clean image, else 0. */
  readonly last: tf.Tensor4D;
};

/** The steps that start at these places of a chain, one an image. */
export function stepTensors(chain: readonly ChainStep[], places: ArrayLike<number>): StepTensors {
  const tensor = (value: (step: ChainStep, place: number) => number): tf.Tensor4D => {
    const values = Array.from(places, (place) => {
      const step = chain[place];
      if (step === undefined) throw new RangeError(`Cannot find step ${place} of the chain`);
      return value(step, place);
    });
    return tf.tensor4d(values, [values.length, 1, 1, 1]);
  };
  return {
    alpha: tensor(({ alpha }) => alpha),
    sigma: tensor(({ sigma }) => sigma),
    fromX0: tensor(({ fromX0 }) => fromX0),
    fromX: tensor(({ fromX }) => fromX),
    variance: tensor(({ variance }) => variance),
    low: tensor(({ low }) => low),
    high: tensor(({ high }) => high),
    last: tensor((_, place) => place === 0 ? 1 : 0),
  };
}
