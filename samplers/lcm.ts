import { combine, type Sampler } from "../plugin.ts";

const options = {
  sigma_data: { type: "number", default: 0.5, min: 0, help: "standard deviation of the data" },
  timestep_scaling: { type: "number", default: 10, min: 0, help: "of t where it weighs x0 and x" },
} as const;

/** Multistep consistency sampling: the clean image, then noise of the next level over it. */
const lcm: Sampler<typeof options> = {
  name: "lcm",
  summary: "latent consistency models: 1 to 8 steps of clean image and noise",
  paper: "https://arxiv.org/abs/2310.04378", // Algorithm 3, equation 9
  options,
  async step({ x, from, to, path, index, predict, noise, options }) {
    const { x0 } = await predict(x, from);
    const scaled = from.t * options.timestep_scaling;
    const norm = Math.hypot(scaled, options.sigma_data);
    // The boundary condition: at t = 0 the answer is x itself.
    const clean = combine([scaled / norm, x0], [(options.sigma_data / norm) ** 2, x]);
    if (index === path.length - 2) return { x: clean };
    return { x: combine([to.alpha, clean], [to.sigma, noise]) };
  },
};
export default lcm;
