import { combine, type Sampler } from "../plugin.ts";
import { churn, churnOptions } from "./_churn.ts";

/** Euler steps along `dx / dr = eps`, x over alpha and r = sigma / alpha: without churn, ddim. */
const euler: Sampler<typeof churnOptions> = {
  name: "euler",
  summary: "Euler steps on the flow of EDM, with churn if wanted",
  paper: "https://arxiv.org/abs/2206.00364", // Algorithm 2 without lines 9 to 11
  order: 1,
  options: churnOptions,
  async step(input) {
    const { x, at } = churn(input);
    const { x0, eps } = await input.predict(x, at);
    return { x: combine([input.to.alpha, x0], [input.to.sigma, eps]) };
  },
};
export default euler;
