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

/** The non-Markovian process with the same marginals; up a climbing path it is DDIM inversion. */
const ddim: Sampler<typeof options> = {
  name: "ddim",
  summary: "deterministic with fixed variance, good in 10 to 50 steps; encodes images, too",
  paper: "https://arxiv.org/abs/2010.02502", // equations 12 and 16; section 4.3 for the inversion
  order: 1,
  climbs: true,
  options,
  async step({ x, from, to, predict, noise, options: { eta } }) {
    if (from.sigma === 0) { // a clean image has no noise to predict, but what it will have
      const { eps } = await predict(x, to);
      return { x: combine([to.alpha / from.alpha, x], [to.sigma, eps]) };
    }
    const { x0, eps } = await predict(x, from);
    const ratio = from.alpha / to.alpha;
    const large = from.sigma ** 2 - (ratio * to.sigma) ** 2; // beta_t of this stride
    if (eta > 0 && large < -1e-9) {
      throw new RangeError("it can climb to more noise with eta=0 only");
    }
    const spread = eta * (to.sigma / from.sigma) * Math.sqrt(Math.max(0, large));
    const std = eta === 0 ? 0 : spread; // sigma_t in the paper
    const direction = Math.sqrt(to.sigma ** 2 - std ** 2); // towards x_t
    return { x: combine([to.alpha, x0], [direction, eps], [std, noise]) };
  },
};
export default ddim;
