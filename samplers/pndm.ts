import { combine, type Images, type Level, type Sampler } from "../plugin.ts";
import { adams, slopeOf, slopeOptions, transfer } from "./_adams.ts";
import plms from "./plms.ts";

/**
 * Runge-Kutta steps on the noise for the first three steps, then the multistep of plms; a path of
 * fewer than four steps has no room for them and is plms from the start.
 */
const pndm: Sampler<typeof slopeOptions, readonly Images[]> = {
  name: "pndm",
  summary: "pseudo-numerical: three Runge-Kutta steps, then linear multistep",
  paper: "https://arxiv.org/abs/2202.09778", // Algorithm 2
  order: 2,
  options: slopeOptions,
  async step(input, history = []) {
    const { x, from, to, path, process, predict, options: { slopes: kind } } = input;
    if (path.length - 1 < 4) return plms.step(input, history);
    const prediction = await predict(x, from);
    if (from.alpha === 0) {
      return { x: combine([to.alpha, prediction.x0], [to.sigma, prediction.eps]) };
    }
    const slope = slopeOf(prediction, from, kind);
    const slopes = [slope, ...history].slice(0, 4);
    const go = (at: Level, along: Images) => transfer(x, from, at, along, kind);
    if (slopes.length === 4) return { x: go(to, adams(slopes)), history: slopes };
    if (to.sigma === 0) return { x: go(to, slope), history: slopes };
    const middle = process.atTime((from.t + to.t) / 2);
    const next = async (at: Level, along: Images) =>
      slopeOf(await predict(go(at, along), at), at, kind);
    const second = await next(middle, slope);
    const third = await next(middle, second);
    const last = await next(to, third);
    const ends = combine([1 / 6, slope], [1 / 6, last]);
    const mean = combine([1, ends], [1 / 3, second], [1 / 3, third]);
    return { x: go(to, mean), history: slopes };
  },
};
export default pndm;
