import type { Sampler } from "../plugin.ts";
import { type Answer, multistep, multistepOptions, orderAt } from "./_multistep.ts";

const options = multistepOptions;

/** Exponential multistep on the flow; order 1 is ddim. */
const dpmpp2m: Sampler<typeof options, readonly Answer[]> = {
  name: "dpmpp_2m",
  summary: "DPM-Solver++ multistep: second order at one call a step",
  paper: "https://arxiv.org/abs/2211.01095", // Algorithm 2
  order: 2,
  options,
  step(input, history) {
    const form = { ...input.options, order: orderAt(input), eta: 0, s_noise: 0 };
    return multistep(input, history, form);
  },
};
export default dpmpp2m;
