import { combine, type Images, type Sampler } from "../plugin.ts";
import { adams, transfer } from "./_adams.ts";

const options = {
  order: { type: "number", default: 4, min: 1, max: 4, integer: true, help: "noises it goes by" },
} as const;

/** The multistep of plms, begun with steps of lower order in place of a second call. */
const ipndm: Sampler<typeof options, readonly Images[]> = {
  name: "ipndm",
  summary: "linear multistep on the noise that begins with lower orders",
  paper: "https://arxiv.org/abs/2204.13902", // iPNDM, which DEIS compares itself with
  order: 2,
  options,
  async step({ x, from, to, predict, options: { order } }, history = []) {
    const { x0, eps } = await predict(x, from);
    if (from.alpha === 0) return { x: combine([to.alpha, x0], [to.sigma, eps]) };
    const slopes = [eps, ...history].slice(0, order);
    return { x: transfer(x, from, to, adams(slopes)), history: slopes };
  },
};
export default ipndm;
