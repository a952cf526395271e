import { linspace } from "../_numpy.ts";
import { sigmaRule } from "./_rule.ts";

const shape = { type: "number", default: 0.6, min: 0.01, max: 100 } as const;

/** Sigmas at even quantiles of a beta distribution: close together at both ends. */
export default sigmaRule({
  name: "beta",
  summary: "quantiles of a beta distribution: most sigmas at both ends",
  paper: "https://arxiv.org/abs/2407.12173", // Beta Sampling is All You Need
  options: {
    alpha: { ...shape, help: "first parameter of the distribution" },
    beta: { ...shape, help: "second parameter of the distribution" },
  },
  sigmas: (steps, min, max, { alpha, beta }) => betaSigmas(steps, min, max, alpha, beta),
});

/** n sigmas from `max` to `min` (Lee et al. 2024, https://arxiv.org/abs/2407.12173, section 4). */
export function betaSigmas(
  steps: number,
  min: number,
  max: number,
  alpha = 0.6,
  beta = 0.6,
): Float64Array {
  return linspace(1, 0, steps).map((share) => min + betaQuantile(share, alpha, beta) * (max - min));
}

/** x below which a share of the beta distribution lies, by bisection. */
export function betaQuantile(share: number, alpha: number, beta: number): number {
  if (share <= 0 || share >= 1) return share <= 0 ? 0 : 1;
  let [low, high] = [0, 1];
  for (let i = 0; i < 1100; i++) { // until no double lies between, also next to 0
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (betaShare(middle, alpha, beta) < share) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The regularized incomplete beta function: the share of the distribution below x, by the continued
 * fraction of the NIST Handbook of Mathematical Functions, 8.17.22, https://dlmf.nist.gov/8.17.
 */
function betaShare(x: number, a: number, b: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(1 - x, b, a); // where it converges fast
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  // Lentz's method: the fraction from the front, as a product of ratios.
  const tiny = 1e-300;
  let [c, d, fraction] = [1, 0, 1];
  for (let i = 0; i < 500; i++) {
    const m = Math.floor(i / 2);
    const term = i === 0
      ? 1
      : i % 2 === 0
      ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + term * d || tiny);
    c = 1 + term / c || tiny;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return front * (fraction - 1) / a;
}

/** ln Γ(x) for x above 0: Stirling's series, after moving x up to where it is exact. */
function logGamma(x: number): number {
  let [shift, at] = [0, x];
  for (; at < 10; at++) shift += Math.log(at);
  const square = 1 / (at * at);
  const series =
    (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))) / at;
  return (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
