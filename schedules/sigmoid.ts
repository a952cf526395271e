import { linspace } from "./_numpy.ts";

/**
 * Betas along a sigmoid from -6 to 6: the schedule of GeoDiff (Xu et al. 2022),
 * https://arxiv.org/abs/2203.02923, as in its code and in diffusers.
 *
 * @param steps T, the number of training timesteps, at least 1.
 * @param start The beta that the sigmoid leaves; the first one is a 400th of the range above it.
 * @param end The beta that the sigmoid nears.
 * @returns T betas.
 */
export function sigmoid(steps: number, start = 1e-4, end = 0.02): Float64Array<ArrayBuffer> {
  return linspace(-6, 6, steps).map((x) => start + (end - start) / (1 + Math.exp(-x)));
}
