import { combine, type Sampler } from "../plugin.ts";

const options = {
  eta: {
    type: "number",
    default: 0.3,
    min: 0,
    max: 1,
    help: "share of t that noise goes back over",
  },
} as const;

/** A step of the flow to below the next level, and noise up to it: gamma in the paper is eta. */
const tcd: Sampler<typeof options> = {
  name: "tcd",
  summary: "trajectory consistency: steps too far down and noise again",
  paper: "https://arxiv.org/abs/2402.19159", // strategic stochastic sampling
  options,
  async step({ x, from, to, path, index, process, predict, noise, options: { eta } }) {
    const { x0, eps } = await predict(x, from);
    const last = index === path.length - 2;
    const target = (1 - eta) * Math.max(0, to.t);
    const low = eta === 0 || last || to.sigma === 0
      ? to
      : process.atTime(Number.isInteger(to.t) ? Math.floor(target) : target);
    const ratio = to.alpha / low.alpha;
    const std = Math.sqrt(Math.max(0, to.sigma ** 2 - (ratio * low.sigma) ** 2));
    return { x: combine([to.alpha, x0], [ratio * low.sigma, eps], [std, noise]) };
  },
};
export default tcd;
