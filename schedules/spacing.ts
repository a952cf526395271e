import { linspace, roundHalfEven } from "./_numpy.ts";

/**
 * How diffusers picks n of T timesteps, noisiest first (Common Diffusion Noise Schedules and Sample
 * Steps are Flawed, Lin et al. 2024, table 2, https://arxiv.org/abs/2305.08891).
 *
 * - `leading`: 0, s, 2s, … with s = ⌊T / n⌋, all moved up by the offset. It never gets to T - 1,
 *   unless n = T; one step is at timestep 0, where there is hardly any noise to remove.
 * - `linspace`: from 0 to T - 1, both included, rounded. One step is at timestep 0, too.
 * - `trailing`: T - 1, T - 1 - T / n, …, rounded: the last timestep is always there, 0 only
 *   if n = T. The only one for a model without a signal at its last timestep.
 */
export type Spacing = "leading" | "linspace" | "trailing";

/** The spacings by name. */
export const SPACINGS: readonly Spacing[] = ["leading", "linspace", "trailing"];

/**
 * The timesteps of a run, noisiest first, each below the one before: those of diffusers'
 * DDPMScheduler and DDIMScheduler. Three things are done better than there:
 *
 * - `leading` with an offset may leave the training timesteps, at n = T for one, where diffusers
 *   reads past the end of its table (diffusers#10003): here it is an error.
 * - Where n does not divide T, diffusers' DDIMScheduler steps from t to t - ⌊T / n⌋, which is not
 *   the next timestep of its own `linspace` or `trailing` list (diffusers#9261, #12633). A path
 *   goes to the next of the list, as diffusers' DDPMScheduler does.
 * - `trailing` counts down in floats, and for some n one timestep too far, to -1: it is left out.
 *
 * @param total T, the number of training timesteps.
 * @param steps n, an integer from 1 to T.
 * @param offset What `leading` adds to each timestep: `steps_offset`. The others ignore it.
 *
 * @throws {RangeError} If `steps` is out of its range, or a timestep would be.
 */
export function spacedTimesteps(
  spacing: Spacing,
  total: number,
  steps: number,
  offset = 0,
): number[] {
  if (!Number.isInteger(steps) || steps < 1 || steps > total) {
    throw new RangeError(
      `Cannot space ${steps} steps over ${total} training timesteps:` +
        ` steps must be between 1 and ${total}`,
    );
  }
  if (spacing === "linspace") {
    return Array.from(linspace(0, total - 1, steps), roundHalfEven).reverse();
  }
  if (spacing === "trailing") {
    // numpy.arange(T, 0, -T / n) adds multiples of its own first difference, with its rounding
    // error: without it some of the halves would round the other way.
    const stride = total - total / steps - total;
    return Array.from({ length: steps }, (_, i) => roundHalfEven(total + i * stride) - 1);
  }
  const stride = Math.floor(total / steps);
  const largest = (steps - 1) * stride + offset;
  if (!Number.isInteger(offset) || offset < 0 || largest >= total) {
    throw new RangeError(
      `Cannot space ${steps} steps over ${total} training timesteps with an offset of ${offset}:` +
        ` the first would be at timestep ${largest}, the last there is is ${total - 1}`,
    );
  }
  return Array.from({ length: steps }, (_, i) => largest - i * stride);
}
