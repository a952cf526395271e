import { combine, type Sampler } from "../plugin.ts";
import { ancestral, ancestralOptions } from "./_ancestral.ts";

/** An Euler step to a lower level and noise back up: ddim with the same eta, and ddpm at 1. */
const eulerAncestral: Sampler<typeof ancestralOptions> = {
  name: "euler_ancestral",
  summary: "Euler steps that go too far down and add noise again",
  paper: "https://arxiv.org/abs/2006.11239", // Algorithm 2, as k-diffusion writes it
  options: ancestralOptions,
  async step({ x, from, to, predict, noise, options: { eta, s_noise } }) {
    const { x0, eps } = await predict(x, from);
    const { down, up } = ancestral(from, to, eta);
    const { alpha } = to;
    return { x: combine([alpha, x0], [alpha * down, eps], [alpha * up * s_noise, noise]) };
  },
};
export default eulerAncestral;
