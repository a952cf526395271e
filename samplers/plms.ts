import { combine, type Images, type Sampler } from "../plugin.ts";
import { adams, transfer } from "./_adams.ts";

const options = {} as const;

/** The noise of a step is extrapolated from four; the first step is made twice to begin. */
const plms: Sampler<typeof options, readonly Images[]> = {
  name: "plms",
  summary: "linear multistep on the noise, begun with one Heun step",
  paper: "https://arxiv.org/abs/2202.09778", // Algorithm 2, begun in another way
  order: 2,
  options,
  async step({ x, from, to, predict }, history = []) {
    const { x0, eps } = await predict(x, from);
    const first = combine([to.alpha, x0], [to.sigma, eps]);
    const slopes = [eps, ...history].slice(0, 4);
    if (from.alpha === 0 || slopes.length === 1 && to.sigma === 0) return { x: first };
    if (slopes.length > 1) return { x: transfer(x, from, to, adams(slopes)), history: slopes };
    const second = await predict(first, to);
    const mean = combine([1 / 2, eps], [1 / 2, second.eps]);
    return { x: transfer(x, from, to, mean), history: slopes };
  },
};
export default plms;
