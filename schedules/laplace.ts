import { betasOfAlphaBar } from "./cosine.ts";

/** Keeps the logarithm finite at both ends. */
const TINY = 1e-6;

/**
 * Betas whose logSNR, over time, has a Laplace distribution, so that most timesteps lie at medium
 * noise: Improved Noise Schedule for Diffusion Training (Hang and Gu 2024), table 1,
 * https://arxiv.org/abs/2407.03297, with mean 0 and scale 1/2. Alpha-bar is taken from it as diffusers
 * does, as the square root of SNR / (1 + SNR).
 *
 * @param steps T, the number of training timesteps, at least 1.
 * @returns T betas, at most 0.999.
 */
export function laplace(steps: number): Float64Array<ArrayBuffer> {
  return betasOfAlphaBar(steps, (t) => {
    const apart = 0.5 - t;
    const logSnr = (apart >= 0 ? -0.5 : 0.5) * Math.log(1 - 2 * Math.abs(apart) + TINY);
    return Math.sqrt(1 / (1 + Math.exp(-logSnr)));
  });
}
