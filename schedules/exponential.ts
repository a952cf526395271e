import { betasOfAlphaBar } from "./cosine.ts";

/**
 * Betas of an alpha-bar that falls exponentially, to e⁻¹² at the last timestep: all betas alike.
 * Diffusers' HeunDiscreteScheduler has it as `exp`.
 *
 * @param steps T, the number of training timesteps, at least 1.
 * @returns T betas, at most 0.999.
 */
export function exponential(steps: number): Float64Array<ArrayBuffer> {
  return betasOfAlphaBar(steps, (t) => Math.exp(-12 * t));
}
