import { combine, type Sampler } from "../plugin.ts";
import { type Answer, lambdaOf, multistepOptions, nodesOf } from "./_multistep.ts";
import { orderAt, remember, weigh } from "./_multistep.ts";
import { zphi } from "./_phi.ts";
import { quadrature } from "./_quadrature.ts";

const { order, lower_order_final } = multistepOptions;
const options = { order, lower_order_final } as const;

/** Integrates the polynomial in log(sigma / alpha) through the last noises exactly. */
const deis: Sampler<typeof options, readonly Answer[]> = {
  name: "deis",
  summary: "exponential integrator with a polynomial through the last noises",
  paper: "https://arxiv.org/abs/2204.13902", // equations 14 and 15, in log(sigma / alpha)
  order: 2,
  options,
  async step({ x, from, to, path, index, predict, options }, history) {
    const { x0, eps } = await predict(x, from);
    const answers = remember(history, from, eps, options.order);
    const used = answers.slice(0, orderAt({ path, index, options }));
    const h = lambdaOf(to) - lambdaOf(from);
    if (used.length === 1 || h === 0 || h === Infinity) {
      return { x: combine([to.alpha, x0], [to.sigma, eps]), history: answers };
    }
    const weights = quadrature(nodesOf(used, h), [zphi(1, h), zphi(2, h), 2 * zphi(3, h)]);
    const moves = weigh(used, weights.map((weight) => -to.sigma * weight));
    return { x: combine([to.alpha / from.alpha, x], ...moves), history: answers };
  },
};
export default deis;
