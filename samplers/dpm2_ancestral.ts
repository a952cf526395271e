import type { Sampler } from "../plugin.ts";
import { ancestralMidpoint, ancestralOptions } from "./_ancestral.ts";

/** The midpoint step of dpm2 to a lower level, and noise back up. */
const dpm2Ancestral: Sampler<typeof ancestralOptions> = {
  name: "dpm2_ancestral",
  summary: "dpm2 that goes too far down and adds noise again",
  paper: "https://arxiv.org/abs/2206.00927", // Algorithm 1 with r1 = 1/2, as k-diffusion extends it
  calls: 2,
  options: ancestralOptions,
  step(input) {
    const { x, from } = input;
    return ancestralMidpoint(
      input,
      ({ eps }, down) => [[1 / from.alpha, x], [down - from.sigma / from.alpha, eps]],
    );
  },
};
export default dpm2Ancestral;
