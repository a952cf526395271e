import { linspace as evenly, roundHalfEven } from "../_numpy.ts";
import { INTERPOLATIONS } from "../process.ts";
import { type PathRule, timestepsOf } from "./_rule.ts";
import { checkSteps, clippedTimesteps, timestepOptions } from "./_timesteps.ts";

const options = {
  fractional: { type: "flag", default: false, help: "do not round the timesteps" },
  interpolation: {
    type: "choice",
    default: "linear",
    choices: INTERPOLATIONS,
    help: "what is linear in t between two timesteps: sigma, or its logarithm",
  },
  ...timestepOptions,
} as const;

/** Evenly from the last timestep to the first, both included. */
const linspace: PathRule<typeof options> = {
  name: "linspace",
  summary: "from the last timestep to the first, both included",
  paper: "https://arxiv.org/abs/2305.08891", // table 2
  options,
  place(process, steps, options) {
    const total = timestepsOf(process, "linspace");
    const { fractional, interpolation, extra } = options;
    if (!fractional) checkSteps(steps, total);
    const last = clippedTimesteps(process, total, options);
    const timesteps = linspaceTimesteps(last, steps, extra);
    return timesteps.map((t) => process.atTime(fractional ? t : roundHalfEven(t), interpolation));
  },
};
export default linspace;

/** n fractional timesteps from total - 1 to 0, or of n + 1 all but the last. */
export function linspaceTimesteps(total: number, steps: number, extra = false): number[] {
  const upwards = evenly(0, total - 1, steps + Number(extra));
  return [...upwards].reverse().slice(0, steps);
}
