/** The flags of `train` about what is learned, and what they mean together. */
import { type Objective, OBJECTIVES } from "../training/objectives/losses.ts";
import type { VarianceType } from "../training/objectives/reverse.ts";
import { type Weighting, WEIGHTINGS } from "../training/objectives/weighting.ts";
import {
  lognormalTimesteps,
  secondMoment,
  TIMESTEP_SAMPLERS,
  type TimestepSampler,
} from "../training/timesteps/mod.ts";
import { type Flags, UsageError, type Values } from "./_command.ts";

const group = "Objective";

/** The flags. */
export const objectiveFlags = {
  objective: {
    type: "string",
    choices: OBJECTIVES,
    default: "simple",
    help: "simple: the squared error; hybrid: that, and the variational bound for a learned " +
      "variance; vlb: the bound's terms; rescaled-vlb: the whole bound",
    group,
  },
  "learn-variance": {
    type: "flag",
    help: "the network tells the variance of each step, too (not with simple)",
    group,
  },
  "fixed-variance": {
    type: "string",
    choices: ["small", "large"],
    default: "small",
    help: "variance of vlb and rescaled-vlb where it is not learned: the posterior's or beta",
    group,
  },
  "vlb-weight": {
    type: "number",
    default: 0.001,
    min: 0,
    help: "lambda of hybrid, what the whole bound weighs beside the squared error",
    group,
  },
  weighting: {
    type: "string",
    choices: WEIGHTINGS,
    default: "min-snr",
    help: "of the squared error by level of noise; the bounds have their own, and lognormal " +
      "timesteps take edm unless told otherwise",
    group,
  },
  "snr-gamma": {
    type: "number",
    default: 5,
    min: 0,
    help: "gamma of min-snr; 0 is L_simple of DDPM, all levels alike",
    group,
  },
  "p2-gamma": { type: "number", default: 1, min: 0, help: "exponent of p2", group },
  "p2-k": { type: "number", default: 1, min: 0.001, help: "k of p2", group },
  "sigma-data": {
    type: "number",
    default: 0.5,
    min: 0.001,
    help: "deviation of the data, as the weighting edm takes it",
    group,
  },
  "t-sampler": {
    type: "string",
    choices: TIMESTEP_SAMPLERS,
    default: "uniform",
    help: "how often each timestep is visited: alike, more where losses are large, or by EDM's " +
      "distribution of noise",
    group,
  },
  "p-mean": { type: "number", default: -1.2, help: "mean of lognormal's ln(sigma)", group },
  "p-std": { type: "number", default: 1.2, min: 0.001, help: "its deviation", group },
  "offset-noise": {
    type: "number",
    default: 0,
    min: 0,
    help: "deviation of noise that a channel's pixels share, for images all dark or all bright",
    group,
  },
} as const satisfies Flags;

type ObjectiveValues = Values<typeof objectiveFlags>;
type FlagName = keyof ObjectiveValues;

/** What is learned; all of it belongs to the settings of a run. */
export interface ChosenObjective {
  readonly objective: Objective;
  readonly variance: VarianceType;
  readonly vlbWeight: number;
  readonly weighting: Weighting;
  readonly offsetNoise: number;
}

/**
 * What the flags mean together.
 *
 * @throws {UsageError} Where they do not go together, or one would have no effect.
 */
export function objectiveOf(
  flags: ObjectiveValues,
  given: (flag: FlagName) => boolean,
): ChosenObjective {
  const { objective, "learn-variance": learns, "t-sampler": sampler } = flags;
  const bounds = objective === "vlb" || objective === "rescaled-vlb";
  const fail = (what: string, why: string) => new UsageError(`Cannot use ${what}: ${why}`);
  const only = (flag: FlagName, used: boolean, where: string) => {
    if (given(flag) && !used) throw fail(`--${flag} here`, `it belongs to ${where}`);
  };
  if (objective === "hybrid" && !learns) {
    throw fail(
      "--objective hybrid without --learn-variance",
      "its bound teaches nothing but the variance",
    );
  }
  if (objective === "simple" && learns) {
    throw fail(
      "--learn-variance with --objective simple",
      "the squared error does not teach it; use hybrid, vlb or rescaled-vlb",
    );
  }
  if (bounds && flags.weighting !== "none" && given("weighting")) {
    throw fail(
      `--weighting ${flags.weighting} with --objective ${objective}`,
      "the bound weighs its terms itself",
    );
  }
  if (objective !== "simple" && sampler === "lognormal") {
    throw fail(
      `--t-sampler lognormal with --objective ${objective}`,
      "the bound is a sum over all timesteps alike; use uniform or loss-second-moment",
    );
  }
  if (objective !== "simple" && flags["offset-noise"] > 0) {
    throw fail(
      `--offset-noise with --objective ${objective}`,
      "the bound holds for independent noise only",
    );
  }
  const weighting = weightingOf(flags, given, bounds);
  only("fixed-variance", bounds && !learns, "vlb and rescaled-vlb without --learn-variance");
  only("vlb-weight", objective === "hybrid", "--objective hybrid");
  only(
    "snr-gamma",
    weighting.kind === "min-snr" || flags["snr-gamma"] === 0,
    "--weighting min-snr",
  );
  for (const flag of ["p2-gamma", "p2-k"] as const) {
    only(flag, weighting.kind === "p2", "--weighting p2");
  }
  only("sigma-data", weighting.kind === "edm", "--weighting edm");
  for (const flag of ["p-mean", "p-std"] as const) {
    only(flag, sampler === "lognormal", "--t-sampler lognormal");
  }
  return {
    objective,
    variance: learns ? "learned_range" : flags["fixed-variance"],
    vlbWeight: flags["vlb-weight"],
    weighting,
    offsetNoise: flags["offset-noise"],
  };
}

function weightingOf(
  flags: ObjectiveValues,
  given: (flag: FlagName) => boolean,
  bounds: boolean,
): Weighting {
  const byNoise = flags["t-sampler"] === "lognormal" && !given("weighting");
  const kind = bounds ? "none" : byNoise ? "edm" : flags.weighting;
  switch (kind) {
    case "none":
      return { kind };
    case "min-snr":
      return flags["snr-gamma"] === 0 ? { kind: "none" } : { kind, gamma: flags["snr-gamma"] };
    case "p2":
      return { kind, gamma: flags["p2-gamma"], k: flags["p2-k"] };
    case "edm":
      return { kind, data: flags["sigma-data"] };
  }
}

/** The sampler of timesteps that is asked for; nothing for uniform ones. */
export function timestepsOf(
  flags: ObjectiveValues,
  alphasCumprod: Float64Array,
): TimestepSampler | undefined {
  switch (flags["t-sampler"]) {
    case "uniform":
      return undefined;
    case "loss-second-moment":
      return secondMoment(alphasCumprod.length);
    case "lognormal":
      return lognormalTimesteps(alphasCumprod, {
        mean: flags["p-mean"],
        deviation: flags["p-std"],
      });
  }
}
