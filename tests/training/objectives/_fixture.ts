import * as tf from "tfjs";
import { alphasCumprodOf } from "../../../schedules/mod.ts";
import type { NoisyBatch } from "../../../training/objective.ts";
import { chainOf, type StepTensors, stepTensors } from "../../../training/objectives/chain.ts";
import type { MeanType, VarianceType } from "../../../training/objectives/reverse.ts";
import { type FixtureTensor, readFixture } from "../../_safetensors.ts";

/** What OpenAI's code gave for `losses`. */
export const fixture = readFixture("losses/expected.safetensors");

/** OpenAI's names of what an answer stands for. */
export const MEANS: Readonly<Record<string, MeanType>> = {
  EPSILON: "epsilon",
  START_X: "sample",
  PREVIOUS_X: "previous",
};

/** OpenAI's names of variances. */
export const VARIANCES: Readonly<Record<string, VarianceType>> = {
  FIXED_SMALL: "small",
  FIXED_LARGE: "large",
  LEARNED: "learned",
  LEARNED_RANGE: "learned_range",
};

/** A tensor of the fixture as NHWC, one of its first axis where an index is given. */
export function images({ data, shape }: FixtureTensor, index?: number): tf.Tensor4D {
  const own = index === undefined ? shape : shape.slice(1);
  const size = own.reduce((product, side) => product * side, 1);
  const part = data.subarray((index ?? 0) * size, ((index ?? 0) + 1) * size);
  const planes = tf.tensor4d(Float32Array.from(part), own as [number, number, number, number]);
  return tf.transpose(planes, [0, 2, 3, 1]);
}

/** The chain of the fixture's single-step cases. */
export const CHAIN = chainOf(alphasCumprodOf({ beta_schedule: "linear" }));

/** The batch of the fixture's single-step cases. */
export function batchOf(): NoisyBatch & StepTensors {
  const times = fixture("t").data;
  return {
    x0: images(fixture("x_start")),
    eps: images(fixture("noise")),
    t: tf.tensor1d(Float32Array.from(times)),
    weight: tf.ones([times.length]),
    ...stepTensors(CHAIN, times),
  };
}

/** The answer of the fixture's model. */
export function answerOf(mean: string, variance: string): tf.Tensor4D {
  const told = images(fixture(`output.${mean}`));
  const spread = { LEARNED: "var_log", LEARNED_RANGE: "var_range" }[variance];
  return spread === undefined ? told : tf.concat([told, images(fixture(spread))], 3);
}

/**
 * The largest difference of numbers, as a share of 1 or of the expected number where that is more.
 */
export function difference(actual: tf.Tensor, { data, shape }: FixtureTensor): number {
  const planes = actual.rank === 4 ? tf.transpose(actual, [0, 3, 1, 2]) : actual;
  if (`${planes.shape}` !== `${shape}`) {
    throw new TypeError(`the shape is [${planes.shape}], not [${shape}]`);
  }
  return Array.from(planes.dataSync()).reduce(
    (most, value, i) => {
      const expected = data[i] ?? NaN;
      const off = value === expected ? 0 : Math.abs(value - expected);
      return Math.max(most, off / Math.max(1, Math.abs(expected)));
    },
    0,
  );
}
