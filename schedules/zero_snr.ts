import { alphasCumprod } from "./betas.ts";

/**
 * Betas that leave nothing of the image at the last timestep: Common Diffusion Noise Schedules and
 * Sample Steps are Flawed (Lin et al. 2024), Algorithm 1, https://arxiv.org/abs/2305.08891. The
 * square roots of alpha-bar are shifted until the last is 0, then stretched until the first is
 * what it was.
 *
 * At the last level alpha is 0, where a prediction of the noise says nothing of the image: such a
 * model has to predict v or x0, and its path to be spaced so that it visits the last timestep.
 *
 * @param betas At least 2, each in (0, 1].
 * @returns As many betas, the last of them 1.
 *
 * @throws {RangeError} If there are fewer than 2, or one is out of its range.
 */
export function rescaleZeroSnr(betas: ArrayLike<number>): Float64Array<ArrayBuffer> {
  if (betas.length < 2) {
    throw new RangeError(
      `Cannot rescale ${betas.length} betas to a zero terminal signal: it takes at least 2`,
    );
  }
  const roots = alphasCumprod(betas).map(Math.sqrt);
  const first = roots[0] ?? 0;
  const last = roots[roots.length - 1] ?? 0;
  const signal = roots.map((root) => ((root - last) * first / (first - last)) ** 2);
  return signal.map((now, i) => 1 - (i === 0 ? now : now / (signal[i - 1] ?? 1)));
}
