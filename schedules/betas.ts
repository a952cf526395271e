/**
 * From a noise schedule as diffusers writes it down to alpha-bar.
 *
 * @module
 */
import {
  choiceOf,
  familyOf,
  flagOf,
  numberOf,
  type SchedulerConfig,
  withDefaults,
} from "./_config.ts";
import { cosine } from "./cosine.ts";
import { exponential } from "./exponential.ts";
import { laplace } from "./laplace.ts";
import { linear, linearOpenai } from "./linear.ts";
import { scaledLinear } from "./scaled_linear.ts";
import { sigmoid } from "./sigmoid.ts";
import { rescaleZeroSnr } from "./zero_snr.ts";

/**
 * The schedules by the names that `beta_schedule` has for them. Each takes the number of training
 * timesteps and the range of the betas; `linear_openai` and `laplace` are ours. Those that follow an
 * alpha-bar (`exp`, `laplace`, `squaredcos_cap_v2`) and `linear_openai` have their own range.
 */
export const BETA_SCHEDULES = {
  exp: exponential,
  laplace,
  linear,
  linear_openai: linearOpenai,
  scaled_linear: scaledLinear,
  sigmoid,
  squaredcos_cap_v2: cosine,
} as const satisfies Record<
  string,
  (steps: number, start: number, end: number) => Float64Array<ArrayBuffer>
>;

/** The name of a schedule. */
export type BetaSchedule = keyof typeof BETA_SCHEDULES;

const SCHEDULE_NAMES = Object.keys(BETA_SCHEDULES) as BetaSchedule[];

/**
 * The betas of a scheduler of diffusers: `trained_betas` where they are given, else by
 * `beta_schedule`, `beta_start`, `beta_end` and `num_train_timesteps`, then rescaled if
 * `rescale_betas_zero_snr`. Keys that are absent take the defaults of the class (`_class_name`);
 * diffusers itself computes in float32, and differs by up to 2e-5 of a value.
 *
 * @throws {TypeError} If a key has a value of the wrong type.
 * @throws {RangeError} If a value is of the right type, but out of its range.
 */
export function betasOf(config: SchedulerConfig): Float64Array<ArrayBuffer> {
  if (["edm", "flow", "ve"].includes(familyOf(config))) {
    throw new TypeError(`Cannot use the betas of ${config["_class_name"]}: its process has none`);
  }
  const values = withDefaults(config);
  const steps = numberOf(values, "num_train_timesteps");
  if (!Number.isInteger(steps) || steps < 1) {
    throw new RangeError(
      `Cannot use a scheduler with num_train_timesteps=${steps}: it must be an integer from 1 on`,
    );
  }
  const make = BETA_SCHEDULES[choiceOf(values, "beta_schedule", SCHEDULE_NAMES)];
  const betas = trainedBetas(values["trained_betas"], steps) ??
    make(steps, numberOf(values, "beta_start"), numberOf(values, "beta_end"));
  return flagOf(values, "rescale_betas_zero_snr") ? rescaleZeroSnr(betas) : betas;
}

/** {@linkcode alphasCumprod} of {@linkcode betasOf}; throws as both do. */
export function alphasCumprodOf(config: SchedulerConfig): Float64Array<ArrayBuffer> {
  return alphasCumprod(betasOf(config));
}

/**
 * Alpha-bar: the share of the image's variance that is left at each training timestep, the product
 * of all `1 - beta` up to it (Ho et al. 2020, equation 4, https://arxiv.org/abs/2006.11239).
 *
 * @param betas Each in (0, 1], so that alpha-bar falls.
 * @returns As many numbers, from just below 1 down to just above 0, or to 0 at the last.
 *
 * @throws {RangeError} If a beta is out of its range, or is 1 before the last.
 */
export function alphasCumprod(betas: ArrayLike<number>): Float64Array<ArrayBuffer> {
  let product = 1;
  return Float64Array.from(betas, (beta, i) => {
    const limit = i === betas.length - 1 ? "at most 1" : "below 1";
    if (!(beta > 0 && (beta < 1 || beta === 1 && i === betas.length - 1))) {
      throw new RangeError(
        `Cannot use a noise schedule with beta ${beta} at timestep ${i}:` +
          ` it must be above 0 and ${limit}`,
      );
    }
    return product *= 1 - beta;
  });
}

/** The betas in the file, or nothing where the key is null or absent. */
function trainedBetas(value: unknown, steps: number): Float64Array<ArrayBuffer> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((beta) => typeof beta === "number")) {
    throw new TypeError("Cannot use a scheduler with trained_betas that are not all numbers");
  }
  if (value.length !== steps) {
    throw new RangeError(
      `Cannot use a scheduler with ${value.length} trained_betas and` +
        ` num_train_timesteps=${steps}: there must be one for each`,
    );
  }
  return Float64Array.from(value);
}
