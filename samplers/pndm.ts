import { combine, type Images, type Sampler } from "../plugin.ts";
import { adams, transfer } from "./_adams.ts";
import plms from "./plms.ts";

const options = {} as const;

/**
 * Runge-Kutta steps on the noise for the first three steps, then the multistep of plms; a path of
 * fewer than four steps has no room for them and is plms from the start.
 */
const pndm: Sampler<typeof options, readonly Images[]> = {
  name: "pndm",
  summary: "pseudo-numerical: three Runge-Kutta steps, then linear multistep",
  paper: "https://arxiv.org/abs/2202.09778", // Algorithm 2
  order: 2,
  options,
  async step(input, history = []) {
    const { x, from, to, path, process, predict } = input;
    if (path.length - 1 < 4) return plms.step(input, history);
    const { x0, eps } = await predict(x, from);
    if (from.alpha === 0) return { x: combine([to.alpha, x0], [to.sigma, eps]) };
    const slopes = [eps, ...history].slice(0, 4);
    if (slopes.length === 4) return { x: transfer(x, from, to, adams(slopes)), history: slopes };
    if (to.sigma === 0) return { x: transfer(x, from, to, eps), history: slopes };
    const middle = process.atTime((from.t + to.t) / 2);
    const second = await predict(transfer(x, from, middle, eps), middle);
    const third = await predict(transfer(x, from, middle, second.eps), middle);
    const last = await predict(transfer(x, from, to, third.eps), to);
    const ends = combine([1 / 6, eps], [1 / 6, last.eps]);
    const mean = combine([1, ends], [1 / 3, second.eps], [1 / 3, third.eps]);
    return { x: transfer(x, from, to, mean), history: slopes };
  },
};
export default pndm;
