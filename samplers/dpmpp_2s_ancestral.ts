import type { Sampler } from "../plugin.ts";
import { ancestralMidpoint, ancestralOptions } from "./_ancestral.ts";

/** A midpoint step of DPM-Solver++ to a lower level, and noise back up. */
const dpmpp2sAncestral: Sampler<typeof ancestralOptions> = {
  name: "dpmpp_2s_ancestral",
  summary: "DPM-Solver++ in single steps, too far down and with noise again",
  paper: "https://arxiv.org/abs/2211.01095", // Algorithm 1 with r = 1/2, as k-diffusion extends it
  calls: 2,
  options: ancestralOptions,
  step(input) {
    const { x, from } = input;
    return ancestralMidpoint(
      input,
      ({ x0 }, down) => [[down / from.sigma, x], [1 - down * from.alpha / from.sigma, x0]],
    );
  },
};
export default dpmpp2sAncestral;
