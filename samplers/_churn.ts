import { combine, type Images, type Level, type Options, type Step } from "../plugin.ts";

/** The options of Algorithm 2 of EDM; noise levels are ratios sigma / alpha. */
export const churnOptions = {
  s_churn: { type: "number", default: 0, min: 0, help: "noise added before steps, summed up" },
  s_tmin: { type: "number", default: 0, min: 0, help: "least noise level that is churned" },
  s_tmax: { type: "number", default: 1e6, min: 0, help: "greatest noise level that is churned" },
  s_noise: { type: "number", default: 1, min: 0, help: "standard deviation of the added noise" },
} as const satisfies Options;

/**
 * Raises the images to a noisier level before a step (EDM, Algorithm 2, lines 4 to 6). Where churn is
 * on, noise is drawn in every step, also in those that add none, so that draws keep their numbers.
 */
export function churn(
  { x, from, path, process, noise, options }: Step<typeof churnOptions>,
): { readonly x: Images; readonly at: Level } {
  const { s_churn, s_tmin, s_tmax, s_noise } = options;
  if (s_churn === 0) return { x, at: from };
  const draw = noise();
  const ratio = from.sigma / from.alpha;
  if (ratio < s_tmin || ratio > s_tmax) return { x, at: from };
  const gamma = Math.min(s_churn / (path.length - 1), Math.SQRT2 - 1);
  const at = process.atRatio(ratio * (1 + gamma));
  const std = at.alpha * ratio * Math.sqrt((1 + gamma) ** 2 - 1);
  return { x: combine([at.alpha / from.alpha, x], [std * s_noise, draw]), at };
}
