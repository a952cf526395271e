import { type PathRule, timestepsOf } from "./_rule.ts";

const options = {
  original: {
    type: "number",
    default: 50,
    min: 1,
    integer: true,
    help: "steps that the model was distilled with",
  },
} as const;

/** Evenly of the timesteps that a consistency model was distilled on. */
const lcm: PathRule<typeof options> = {
  name: "lcm",
  summary: "evenly of the timesteps that a consistency model was distilled on",
  paper: "https://arxiv.org/abs/2310.04378", // section 4.3, skipping-step
  options,
  place(process, steps, { original }) {
    const total = timestepsOf(process, "lcm");
    return lcmTimesteps(total, steps, original).map((t) => process.atTime(t));
  },
};
export default lcm;

/**
 * n of the timesteps k - 1, 2k - 1, … with k = ⌊T / original⌋, the noisiest first.
 *
 * @throws {RangeError} If there are fewer than n of them.
 */
export function lcmTimesteps(total: number, steps: number, original = 50): number[] {
  const stride = Math.floor(total / original);
  if (stride < 1 || steps > original) {
    throw new RangeError(
      `Cannot take ${steps} of ${original} distilled steps over ${total} training timesteps:` +
        ` original must be between steps and ${total}`,
    );
  }
  return Array.from(
    { length: steps },
    (_, i) => (original - Math.floor(i * (original / steps))) * stride - 1,
  );
}
