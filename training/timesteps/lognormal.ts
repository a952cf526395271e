import type { TimestepSampler } from "./mod.ts";
import { stratified } from "./uniform.ts";

/**
 * Timesteps whose noise is lognormal (EDM, Karras et al. 2022, table 1): of a level with
 * `ln(sigma / alpha)` drawn from N(mean, deviation²) it takes the nearest timestep that there is.
 */
export function lognormalTimesteps(
  alphasCumprod: Float64Array,
  { mean, deviation }: { readonly mean: number; readonly deviation: number },
): TimestepSampler {
  const logs = alphasCumprod.map((share) => 0.5 * Math.log((1 - share) / share)); // rising
  return {
    draw: (shares) => ({
      times: Int32Array.from(
        stratified(shares),
        (place) => nearest(logs, mean + deviation * quantile(place)),
      ),
    }),
  };
}

/** The place of the nearest of some rising numbers. */
function nearest(rising: Float64Array, value: number): number {
  let [low, high] = [0, rising.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  return value - (rising[low] ?? 0) <= (rising[high] ?? 0) - value ? low : high;
}

/**
 * The quantile function of N(0, 1), by bisection of a distribution function accurate to 1e-7
 * (Abramowitz and Stegun, 7.1.26): exact enough for timesteps that stand apart by 1e-3 and more.
 */
function quantile(place: number): number {
  let [low, high] = [-6, 6];
  for (let halving = 0; halving < 40; halving++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < place) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The share of N(0, 1) below z. */
function normalShare(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const polynomial = factors.reduce((sum, factor) => (sum + factor) * t, 0);
  const half = polynomial * Math.exp(-x * x) / 2;
  return z < 0 ? half : 1 - half;
}
