/**
 * What a network answers, as a prediction that samplers and guidances understand.
 *
 * @module
 */
import * as tf from "tfjs";
import { fromEps, fromV, fromX0, type Images, type Level, type Prediction } from "../plugin.ts";
import type { SchedulerConfig } from "../schedules/mod.ts";
import { PREDICTION_TYPES, type PredictionType } from "../training/objective.ts";

/** How to read a network's answer. */
export interface Parameterization {
  readonly type: PredictionType;
  /** True where a second half of the channels holds the variance. */
  readonly learned: boolean;
}

/** The parameterization of a model's scheduler. */
export function parameterization(scheduler: SchedulerConfig, learned: boolean): Parameterization {
  const name = scheduler["prediction_type"] ?? "epsilon";
  const type = PREDICTION_TYPES.find((type) => type === name);
  if (type === undefined) {
    throw new TypeError(
      `Cannot use prediction_type=${name}: it must be one of ${PREDICTION_TYPES.join(", ")}`,
    );
  }
  return { type, learned };
}

/**
 * The prediction that a network's raw answer at x stands for.
 *
 * @throws {RangeError} Where the answer is noise and alpha is 0, so that it says nothing of x0.
 */
export function toPrediction(
  raw: Images,
  x: Images,
  at: Level,
  { type, learned }: Parameterization,
): Prediction {
  if (type === "epsilon" && at.alpha === 0) {
    throw new RangeError(
      `Cannot use a model that predicts epsilon at t=${at.t}: nothing of the image is left there, so its noise says nothing of it`,
    );
  }
  const [mean, variance] = learned ? tf.split(raw, 2, 3) as [Images, Images] : [raw, undefined];
  // Improved DDPM, equation 15: the answer in [-1, 1] is a share of the way between the bounds.
  const rest = variance === undefined ? {} : { mix: tf.mul(tf.add(variance, 1), 0.5) as Images };
  if (type === "epsilon") return fromEps(x, at, mean, rest);
  return type === "sample" ? fromX0(x, at, mean, rest) : fromV(x, at, mean, rest);
}
