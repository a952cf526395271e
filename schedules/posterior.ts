import type { Level } from "../plugin.ts";

/** The normal distribution of x at a cleaner level, given x at a noisier one and the clean image. */
export interface Posterior {
  /** What x0 weighs in the mean. */
  readonly x0: number;
  /** What x at the noisier level weighs in the mean. */
  readonly x: number;
  /** The variance: the lower bound of what a model may learn. */
  readonly variance: number;
  /** The variance that the forward process adds between the levels: the upper bound. */
  readonly beta: number;
}

/**
 * q(x at `to` | x at `from`, x0): Denoising Diffusion Probabilistic Models (Ho et al. 2020),
 * equations 6 and 7, https://arxiv.org/abs/2006.11239, for any two levels. Between two timesteps
 * that do not follow each other it is that of the respaced process of Improved DDPM (section 4),
 * https://arxiv.org/abs/2102.09672.
 *
 * @param from A level with noise.
 * @param to A level with no more noise, and a signal.
 */
export function posterior(from: Level, to: Level): Posterior {
  const ratio = from.alpha / to.alpha; // sqrt(alpha_t)
  const share = (to.sigma / from.sigma) ** 2;
  const beta = from.sigma ** 2 - (ratio * to.sigma) ** 2;
  return {
    x0: to.alpha * beta / from.sigma ** 2,
    x: ratio * share,
    variance: beta * share,
    beta,
  };
}
