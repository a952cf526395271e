/** s in the paper: keeps the first betas from being too small for the network to see the noise. */
const OFFSET = 0.008;

/** Keeps the last step from destroying all that is left, where alpha-bar would be 0. */
const LARGEST = 0.999;

/**
 * Betas of a cosine-shaped alpha-bar: Improved DDPM (Nichol, Dhariwal 2021), equation 17,
 * https://arxiv.org/abs/2102.09672. Beta i is `1 - f((i + 1) / T) / f(i / T)`, at most 0.999, with
 * `f(t) = cos²((t + 0.008) / 1.008 · π / 2)`. Diffusers calls it `squaredcos_cap_v2`.
 *
 * @param steps T, the number of training timesteps, at least 1.
 * @returns T betas.
 */
export function cosine(steps: number): Float64Array<ArrayBuffer> {
  return betasOfAlphaBar(steps, (t) => Math.cos((t + OFFSET) / (1 + OFFSET) * Math.PI / 2) ** 2);
}

/**
 * The betas of T steps over which alpha-bar falls as a function of the time from 0 to 1 does.
 *
 * @returns T betas, each at most 0.999.
 */
export function betasOfAlphaBar(
  steps: number,
  remaining: (t: number) => number,
): Float64Array<ArrayBuffer> {
  return new Float64Array(steps).map((_, i) =>
    Math.min(1 - remaining((i + 1) / steps) / remaining(i / steps), LARGEST)
  );
}
