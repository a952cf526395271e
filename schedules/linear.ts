import { linspace } from "./_numpy.ts";

/**
 * Betas that grow linearly, as in Denoising Diffusion Probabilistic Models (Ho et al. 2020),
 * section 4, https://arxiv.org/abs/2006.11239. Diffusers takes the same range for any number of
 * steps; {@linkcode linearOpenai} scales it.
 *
 * @param steps T, the number of training timesteps, at least 1.
 * @param start The first beta.
 * @param end The last beta, where there are at least two.
 * @returns T betas, the variances of the noise that each step of the forward process adds.
 */
export function linear(steps: number, start = 1e-4, end = 0.02): Float64Array<ArrayBuffer> {
  return linspace(start, end, steps);
}

/**
 * {@linkcode linear} betas of the range [0.1 / T, 20 / T], so that any number of steps destroys the
 * image alike: the "linear" of OpenAI's code for Improved DDPM (Nichol, Dhariwal 2021),
 * https://arxiv.org/abs/2102.09672. The same as `linear` at T = 1000, and above 1, hence of no use,
 * where T is below 20.
 */
export function linearOpenai(steps: number): Float64Array<ArrayBuffer> {
  const scale = 1000 / steps;
  return linspace(scale * 1e-4, scale * 0.02, steps);
}
