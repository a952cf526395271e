import { linspace } from "./_numpy.ts";

/**
 * Betas whose square roots grow linearly: the schedule of latent diffusion (Rombach et al. 2022),
 * https://arxiv.org/abs/2112.10752, and of Stable Diffusion. The paper calls it linear (appendix
 * E, table 12); the square root is in its code only.
 *
 * @param steps T, the number of training timesteps, at least 1.
 * @param start The first beta: 0.00085 in Stable Diffusion, 0.0015 in the unconditional models.
 * @param end The last beta: 0.012 in Stable Diffusion, 0.0195 in the unconditional models.
 * @returns T betas.
 */
export function scaledLinear(
  steps: number,
  start = 0.00085,
  end = 0.012,
): Float64Array<ArrayBuffer> {
  return linspace(Math.sqrt(start), Math.sqrt(end), steps).map((root) => root ** 2);
}
