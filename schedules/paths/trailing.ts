import { roundHalfEven } from "../_numpy.ts";
import { type PathRule, timestepsOf } from "./_rule.ts";
import { checkSteps, clippedTimesteps, timestepOptions } from "./_timesteps.ts";

const { lambda_min } = timestepOptions;
const options = { lambda_min } as const;

/** Even strides from the noisiest timestep down. */
const trailing: PathRule<typeof options> = {
  name: "trailing",
  summary: "from the noisiest timestep down: right for few steps",
  paper: "https://arxiv.org/abs/2305.08891", // table 2
  options,
  place(process, steps, options) {
    const total = timestepsOf(process, "trailing");
    checkSteps(steps, total);
    return trailingTimesteps(total, steps, clippedTimesteps(process, total, options))
      .map((t) => process.atTime(t));
  },
};
export default trailing;

/**
 * last - 1, last - 1 - T / n, …, rounded. Fewer than n where `last` is below T.
 *
 * @param total T, the number of training timesteps.
 * @param last How many of them are used.
 */
export function trailingTimesteps(total: number, steps: number, last = total): number[] {
  // numpy.arange(last, 0, -T / n) adds multiples of its own first difference, with its rounding
  // error: without it some of the halves would round the other way.
  const stride = last - total / steps - last;
  return Array.from({ length: steps }, (_, i) => roundHalfEven(last + i * stride) - 1)
    .filter((t) => t >= 0);
}
