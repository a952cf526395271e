import type { Values } from "../../plugin.ts";
import { type PathRule, timestepsOf } from "./_rule.ts";
import { checkSteps, clippedTimesteps, timestepOptions } from "./_timesteps.ts";

const options = {
  offset: { type: "number", default: 0, min: 0, integer: true, help: "added to each timestep" },
  ...timestepOptions,
} as const;

/** Multiples of a whole stride, from timestep 0 on: the noisiest timestep is never visited. */
const leading: PathRule<typeof options> = {
  name: "leading",
  summary: "0, s, 2s, ...: never the noisiest timestep",
  paper: "https://arxiv.org/abs/2305.08891", // table 2
  options,
  place(process, steps, options) {
    const total = timestepsOf(process, "leading");
    return leadingTimesteps(total, steps, options, clippedTimesteps(process, total, options))
      .map((t) => process.atTime(t));
  },
};
export default leading;

/**
 * 0, s, 2s, … with s = ⌊last / n⌋, all moved up by the offset; the noisiest first.
 *
 * @param total T, the number of training timesteps.
 * @param last How many of them are used.
 *
 * @throws {RangeError} If steps do not fit, or a timestep is beyond the last.
 */
export function leadingTimesteps(
  total: number,
  steps: number,
  { offset, extra }: Pick<Values<typeof options>, "offset" | "extra">,
  last = total,
): number[] {
  checkSteps(steps, total);
  const count = steps + Number(extra);
  const stride = Math.floor(last / count);
  const largest = (count - 1) * stride + offset;
  if (largest >= total || offset < 0 || !Number.isInteger(offset)) {
    throw new RangeError(
      `Cannot space ${steps} steps over ${total} training timesteps with an offset of ${offset}:` +
        ` the first would be at timestep ${largest}, the last there is is ${total - 1}`,
    );
  }
  return Array.from({ length: steps }, (_, i) => largest - i * stride);
}
