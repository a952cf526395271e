import * as tf from "tfjs";
import { fromX0, type Guide, type Images, type Level, type Options } from "../../plugin.ts";
import { CLEAN } from "../../schedules/mod.ts";

/** A level of a variance-preserving model. */
export const AT: Level = { t: 500, alpha: 0.6, sigma: 0.8 };

/** One image of a row of pixels. */
export const row = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);

export const valuesOf = (tensor: tf.Tensor | undefined): number[] => [...tensor?.dataSync() ?? []];

const never = () => Promise.reject(new Error("it was asked for"));

/** What a guidance is given, where it may ask for nothing but what a test says. */
export function guideOf<V extends object>(
  input: Partial<Omit<Guide<Options>, "options">> & { readonly x: Images; readonly options: V },
): Omit<Guide<Options>, "options"> & { readonly options: V } {
  const { x, at = AT } = input;
  return {
    at,
    to: CLEAN,
    share: 0,
    unguided: fromX0(x, at, x),
    unconditional: never,
    ofClass: never,
    ofModel: never,
    classifierGradient: never,
    throughNetwork: never,
    perturbed: never,
    attention: never,
    again: never,
    loss: () => tf.scalar(NaN),
    takesShift: false,
    ...input,
  };
}
