import { linspace } from "../_numpy.ts";
import { isFlow } from "../process.ts";
import { conversion, levelsOf, type PathRule } from "./_rule.ts";

const options = {
  shift: { type: "number", default: 1, min: 0.01, help: "above 1 moves levels to more noise" },
  sigma_min: { type: "number", default: 0, min: 0, help: "smallest sigma; 0 is the model's own" },
  sigma_max: {
    type: "number",
    default: 1,
    min: 0,
    max: 1,
    help: "largest sigma, before the shift",
  },
  terminal: {
    type: "number",
    default: 0,
    min: 0,
    max: 1,
    help: "sigma to stretch the last to; 0 off",
  },
  t: conversion,
} as const;

/** Sigmas in equal steps, then shifted: for flow models, whose sigma lies between 0 and 1. */
const flow: PathRule<typeof options> = {
  name: "flow",
  summary: "sigma of a flow model in equal steps, shifted to more noise for large images",
  paper: "https://arxiv.org/abs/2403.03206", // Stable Diffusion 3, equation 23
  options,
  place(process, steps, { shift, sigma_min, sigma_max, terminal, t }) {
    if (!isFlow(process)) {
      throw new RangeError('Cannot use spacing "flow" with this model: it is no flow model');
    }
    const even = linspace(sigma_max, sigma_min || process.sigmaMin, steps);
    const sigmas = even.map((sigma) => shiftSigma(sigma, shift));
    const last = sigmas[steps - 1] ?? 0;
    if (terminal === 0 || last === 1) return levelsOf(process, sigmas, t);
    const stretch = (1 - terminal) / (1 - last);
    return levelsOf(process, sigmas.map((sigma) => 1 - (1 - sigma) * stretch), t);
  },
};
export default flow;

/** The sigma that is as hard at a resolution as another was (Esser et al. 2024, equation 23). */
export function shiftSigma(sigma: number, shift: number): number {
  return shift * sigma / (1 + (shift - 1) * sigma);
}
