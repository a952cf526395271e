import { linspace } from "../_numpy.ts";
import { conversion, levelsOf, type PathRule } from "./_rule.ts";

/** Optimized sigmas of ten steps, the last of them where the tenth ends unless it ends clean. */
export const AYS_LISTS = {
  sd15: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
  sdxl: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029],
  svd: [700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002],
} as const;

const options = {
  list: {
    type: "choice",
    default: "sd15",
    choices: Object.keys(AYS_LISTS) as (keyof typeof AYS_LISTS)[],
    help: "the model that it was optimized for",
  },
  t: conversion,
} as const;

/** Sigmas that were optimized for a model, stretched to other numbers of steps. */
const ays: PathRule<typeof options> = {
  name: "ays",
  summary: "sigmas optimized for Stable Diffusion, in 10 steps or stretched to others",
  paper: "https://arxiv.org/abs/2404.14507", // Align Your Steps
  options,
  place(process, steps, { list, t }) {
    const sigmas = stretchSigmas(AYS_LISTS[list as keyof typeof AYS_LISTS], steps + 1);
    return levelsOf(process, sigmas.slice(0, steps), t);
  },
};
export default ays;

/** A list of sigmas above 0 as one of `count`: log sigma is linear between its members. */
export function stretchSigmas(sigmas: readonly number[], count: number): Float64Array {
  const logs = sigmas.map(Math.log);
  return linspace(0, sigmas.length - 1, count).map((position) => {
    const low = Math.floor(position);
    const [before = NaN, after = before] = [logs[low], logs[low + 1]];
    const between = Math.exp(before + (position - low) * (after - before));
    return position === low ? sigmas[low] ?? NaN : between;
  });
}
