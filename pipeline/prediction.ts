/**
 * What a network answers, as a prediction that samplers and guidances understand.
 *
 * @module
 */
import * as tf from "tfjs";
import {
  combine,
  fromEps,
  fromV,
  fromX0,
  type Images,
  type Level,
  type Prediction,
} from "../plugin.ts";
import { familyOf, posterior, type SchedulerConfig, withDefaults } from "../schedules/mod.ts";
import { PREDICTION_TYPES, type PredictionType } from "../training/objective.ts";

/** What a network's answer stands for. */
export type AnswerType = PredictionType | "flow_prediction" | "score" | "edm";

/** How to read a network's answer. */
export interface Parameterization {
  readonly type: AnswerType;
  /** True where a second half of the channels holds the variance. */
  readonly learned: boolean;
  /**
   * What that half is: a share of the way between the bounds of the variance, from -1 to 1 (the
   * default; `learned_range`), or the variance's logarithm itself (`learned`).
   */
  readonly variance?: "range" | "log" | undefined;
  /** The standard deviation of the data and the sign of c_out, for `edm`. */
  readonly edm?: { readonly sigmaData: number; readonly sign: 1 | -1 } | undefined;
}

const NAMES = [...PREDICTION_TYPES, "flow_prediction"] as const;

/** The parameterization of a model's scheduler. */
export function parameterization(scheduler: SchedulerConfig, learned: boolean): Parameterization {
  const { prediction_type: name, variance_type, sigma_data } = withDefaults(scheduler);
  const type = NAMES.find((type) => type === name);
  if (type === undefined) {
    throw new TypeError(
      `Cannot use prediction_type=${name}: it must be one of ${NAMES.join(", ")}`,
    );
  }
  const variance = learned && variance_type === "learned" ? { variance: "log" } as const : {};
  switch (familyOf(scheduler)) {
    case "edm": {
      const sign = type === "v_prediction" ? -1 : 1;
      return { type: "edm", learned, ...variance, edm: { sigmaData: Number(sigma_data), sign } };
    }
    case "flow":
      return { type: "flow_prediction", learned, ...variance };
    case "ve":
      return { type: "score", learned, ...variance };
    default:
      return { type, learned, ...variance };
  }
}

/** The images as the network takes them: EDM scales them to unit variance (c_in in table 1). */
export function networkInput(x: Images, at: Level, { edm }: Parameterization): Images {
  return edm ? combine([1 / Math.hypot(at.sigma, edm.sigmaData), x]) : x;
}

/**
 * The prediction that a network's raw answer at x stands for.
 *
 * @param to The level that the step goes to, for a variance that is learned as its logarithm: it
 * becomes a share of the way between the bounds of this very step, so that samplers draw with what the
 * network says.
 * @throws {RangeError} Where the answer is noise and alpha is 0, so that it says nothing of x0.
 */
export function toPrediction(
  raw: Images,
  x: Images,
  at: Level,
  { type, learned, variance, edm }: Parameterization,
  to?: Level,
): Prediction {
  if ((type === "epsilon" || type === "score") && at.alpha === 0) {
    throw new RangeError(
      `Cannot use a model that predicts epsilon at t=${at.t}: nothing of the image is left there, so its noise says nothing of it`,
    );
  }
  const [mean, spread] = learned ? halvesOf(raw) : [raw, undefined];
  const mix = spread && (variance === "log" ? shareOfLog(spread, at, to) : shareOfRange(spread));
  const rest = mix === undefined ? {} : { mix };
  switch (type) {
    case "epsilon":
      return fromEps(x, at, mean, rest);
    case "sample":
      return fromX0(x, at, mean, rest);
    case "v_prediction":
      return fromV(x, at, mean, rest);
    case "flow_prediction": { // eps - x0 (rectified flow, equation 1)
      const sum = at.alpha + at.sigma;
      const x0 = combine([1 / sum, x], [-at.sigma / sum, mean]);
      return { ...rest, x0, eps: combine([1 / sum, x], [at.alpha / sum, mean]) };
    }
    case "score": // of x: -eps / sigma
      return fromEps(x, at, combine([-at.sigma, mean]), rest);
    case "edm": { // Karras et al. 2022, table 1: c_skip and c_out
      const { sigmaData = 0.5, sign = 1 } = edm ?? {};
      const square = at.sigma ** 2 + sigmaData ** 2;
      const out = sign * at.sigma * sigmaData / Math.sqrt(square);
      return fromX0(x, at, combine([sigmaData ** 2 / square, x], [out, mean]), rest);
    }
  }
}

/**
 * The halves of an answer's channels, as products with zeros and ones: tfjs cuts the last axis number
 * by number in JavaScript, which took a fifth of a step's time.
 */
function halvesOf(raw: Images): [Images, Images] {
  const [batch, height, width, channels] = raw.shape;
  const rows = tf.reshape(raw, [batch * height * width, channels]);
  const both = tf.eye(channels);
  const half = (begin: number): Images => {
    const chosen = tf.slice(both, [0, begin], [channels, channels / 2]);
    return tf.reshape(tf.matMul(rows, chosen), [batch, height, width, channels / 2]);
  };
  return [half(0), half(channels / 2)];
}

/** Improved DDPM, equation 15: the answer in [-1, 1] is a share of the way between the bounds. */
function shareOfRange(variance: Images): Images {
  return tf.mul(tf.add(variance, 1), 0.5);
}

/** The share that a logarithm of the variance is, where the step has two bounds. */
function shareOfLog(variance: Images, at: Level, to: Level | undefined): Images | undefined {
  if (to === undefined) return undefined;
  const { variance: small, beta: large } = posterior(at, to);
  if (!(small > 0 && large > small)) return undefined; // nothing is drawn in this step
  const [low, high] = [Math.log(small), Math.log(large)];
  return tf.div(tf.sub(variance, low), high - low);
}
