import { combine, type Sampler } from "../plugin.ts";
import { churn, churnOptions } from "./_churn.ts";

/** Euler to the next level, then again with the mean of the slopes at both ends. */
const heun: Sampler<typeof churnOptions> = {
  name: "heun",
  summary: "Heun steps on the flow of EDM, with churn if wanted",
  paper: "https://arxiv.org/abs/2206.00364", // Algorithm 2
  order: 2,
  calls: 2,
  options: churnOptions,
  async step(input) {
    const { to, predict } = input;
    const { x, at } = churn(input);
    const { x0, eps } = await predict(x, at);
    const first = combine([to.alpha, x0], [to.sigma, eps]);
    // There is no slope where no noise is left, nor a finite step where no image is left.
    if (to.sigma === 0 || at.alpha === 0) return { x: first };
    const second = await predict(first, to);
    const half = (to.sigma - to.alpha * at.sigma / at.alpha) / 2;
    return { x: combine([1, first], [half, second.eps], [-half, eps]) };
  },
};
export default heun;
