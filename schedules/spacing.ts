import { roundHalfEven } from "./_numpy.ts";
import { checkSteps } from "./paths/_timesteps.ts";
import { leadingTimesteps } from "./paths/leading.ts";
import { linspaceTimesteps } from "./paths/linspace.ts";
import { trailingTimesteps } from "./paths/trailing.ts";

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
  if (spacing === "leading") return leadingTimesteps(total, steps, { offset, extra: false });
  checkSteps(steps, total);
  if (spacing === "linspace") return linspaceTimesteps(total, steps).map(roundHalfEven);
  return trailingTimesteps(total, steps);
}
