import { combine, type Images, type Sampler } from "../plugin.ts";
import { adams, slopeOf, slopeOptions, transfer } from "./_adams.ts";

/** The slope of a step is extrapolated from four; the first step is made twice to begin. */
const plms: Sampler<typeof slopeOptions, readonly Images[]> = {
  name: "plms",
  summary: "linear multistep on the noise, begun with one Heun step",
  paper: "https://arxiv.org/abs/2202.09778", // Algorithm 2, begun in another way
  order: 2,
  options: slopeOptions,
  async step({ x, from, to, predict, options: { slopes: kind } }, history = []) {
    const prediction = await predict(x, from);
    const first = combine([to.alpha, prediction.x0], [to.sigma, prediction.eps]);
    const slope = slopeOf(prediction, from, kind);
    const slopes = [slope, ...history].slice(0, 4);
    if (from.alpha === 0 || slopes.length === 1 && to.sigma === 0) return { x: first };
    if (slopes.length > 1) {
      return { x: transfer(x, from, to, adams(slopes), kind), history: slopes };
    }
    const second = slopeOf(await predict(first, to), to, kind);
    const mean = combine([1 / 2, slope], [1 / 2, second]);
    return { x: transfer(x, from, to, mean, kind), history: slopes };
  },
};
export default plms;
