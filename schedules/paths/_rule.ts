/**
 * What the ways to space a path have in common.
 *
 * @module
 */
import type { Level, Option, Options, Plugin, Values } from "../../plugin.ts";
import { type Conversion, CONVERSIONS, type Process } from "../process.ts";

/** One way to spread the steps of a run over a noise process. */
export interface PathRule<O extends Options = Options> extends Plugin<O> {
  /** The levels of n steps, the noisiest first, without the one that the last step ends at. */
  place(process: Process, steps: number, options: Values<O>): Level[];
}

/** The option of rules that space sigmas, of which the network is told a t. */
export const conversion = {
  type: "choice",
  default: "fractional",
  choices: CONVERSIONS,
  help: "what the network is told of a sigma between its timesteps",
} as const satisfies Option;

/** Options of the rules that space sigmas between two ends. */
export const sigmaRange = {
  sigma_min: { type: "number", default: 0, min: 0, help: "smallest sigma; 0 is the model's own" },
  sigma_max: { type: "number", default: 0, min: 0, help: "largest sigma; 0 is the model's own" },
  t: conversion,
} as const satisfies Options;

/** A rule that spaces sigmas from the largest to the smallest. */
export function sigmaRule<const O extends Options>(
  { sigmas, ...about }: Plugin<O> & {
    sigmas(
      steps: number,
      min: number,
      max: number,
      options: Values<O>,
      process: Process,
    ): ArrayLike<number>;
  },
): PathRule<O & typeof sigmaRange> {
  return {
    ...about,
    options: { ...about.options, ...sigmaRange },
    place(process, steps, options) {
      const { sigma_min, sigma_max, t } = options as Values<typeof sigmaRange>;
      const [min, max] = [sigma_min || process.sigmaMin, sigma_max || process.sigmaMax];
      if (min > max || min === max && steps > 1) {
        throw new RangeError(
          `Cannot space sigmas by ${about.name} from ${max} to ${min}: sigma_min must be below sigma_max`,
        );
      }
      return levelsOf(process, sigmas(steps, min, max, options, process), t);
    },
  };
}

/** The levels of sigmas. */
export function levelsOf(
  process: Process,
  sigmas: ArrayLike<number>,
  conversion?: Conversion,
): Level[] {
  return Array.from(sigmas, (sigma) => process.atSigma(sigma, conversion));
}

/**
 * The number of training timesteps of a process.
 *
 * @throws {RangeError} If it has none.
 */
export function timestepsOf({ timesteps }: Process, rule: string): number {
  if (timesteps !== undefined) return timesteps;
  throw new RangeError(
    `Cannot use spacing "${rule}" with this model: its time is continuous, so space its sigmas, as karras does`,
  );
}
