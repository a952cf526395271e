import { linspace } from "../_numpy.ts";
import { conversion, levelsOf, type PathRule } from "./_rule.ts";

const options = {
  beta_d: { type: "number", default: 19.9, min: 0, help: "growth of beta over time" },
  beta_min: { type: "number", default: 0.1, min: 0, help: "beta at time 0" },
  eps: { type: "number", default: 1e-3, min: 1e-8, max: 1, help: "the last time; the first is 1" },
  t: conversion,
} as const;

/** Even times of the variance-preserving process in continuous time. */
const vp: PathRule<typeof options> = {
  name: "vp",
  summary: "even times of score-SDE's variance-preserving process",
  paper: "https://arxiv.org/abs/2206.00364", // EDM, table 1, column VP
  options,
  place(process, steps, { beta_d, beta_min, eps, t }) {
    return levelsOf(process, vpSigmas(steps, beta_d, beta_min, eps), t);
  },
};
export default vp;

/** n sigmas of the times from 1 to eps: EDM, table 1; score-SDE, equation 33. */
export function vpSigmas(steps: number, betaD = 19.9, betaMin = 0.1, eps = 1e-3): Float64Array {
  return linspace(1, eps, steps).map((t) =>
    Math.sqrt(Math.expm1(betaD * t ** 2 / 2 + betaMin * t))
  );
}
