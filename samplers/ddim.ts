import { combine, type Sampler } from "../plugin.ts";

const options = {
  eta: {
    type: "number",
    default: 0,
    min: 0,
    max: 1,
    help: "share of the posterior's noise: 0 is deterministic, 1 is ddpm with small variance",
  },
} as const;

/** The non-Markovian process with the same marginals, whose variance eta fixes. */
const ddim: Sampler<typeof options> = {
  name: "ddim",
  summary: "deterministic with fixed variance, good in 10 to 50 steps",
  paper: "https://arxiv.org/abs/2010.02502", // equations 12 and 16
  order: 1,
  options,
  async step({ x, from, to, predict, noise, options: { eta } }) {
    const { x0, eps } = await predict(x, from);
    const ratio = from.alpha / to.alpha;
    const large = from.sigma ** 2 - (ratio * to.sigma) ** 2; // beta_t of this stride
    const std = eta * (to.sigma / from.sigma) * Math.sqrt(large); // sigma_t in the paper
    const direction = Math.sqrt(to.sigma ** 2 - std ** 2); // towards x_t
    return { x: combine([to.alpha, x0], [direction, eps], [std, noise]) };
  },
};
export default ddim;
