import { combine, type Sampler } from "../plugin.ts";
import { churn, churnOptions } from "./_churn.ts";

/** A midpoint step whose middle is the geometric mean of both noise levels. */
const dpm2: Sampler<typeof churnOptions> = {
  name: "dpm2",
  summary: "midpoint steps in the logarithm of the noise (DPM-Solver-2)",
  paper: "https://arxiv.org/abs/2206.00927", // Algorithm 1 with r1 = 1/2, on EDM's flow
  order: 2,
  calls: 2,
  options: churnOptions,
  async step(input) {
    const { to, process, predict } = input;
    const { x, at } = churn(input);
    const { x0, eps } = await predict(x, at);
    if (to.sigma === 0 || at.alpha === 0) {
      return { x: combine([to.alpha, x0], [to.sigma, eps]) }; // the mean would be 0 or infinite
    }
    const [high, low] = [at.sigma / at.alpha, to.sigma / to.alpha];
    const middle = process.atRatio(Math.sqrt(high * low));
    const half = combine([middle.alpha, x0], [middle.sigma, eps]);
    const { eps: slope } = await predict(half, middle);
    return { x: combine([to.alpha / at.alpha, x], [to.alpha * (low - high), slope]) };
  },
};
export default dpm2;
