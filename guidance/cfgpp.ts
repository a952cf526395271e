import { combine, fromX0, type Guidance, type Level } from "../plugin.ts";

const options = {
  scale: {
    type: "number",
    default: 0.6,
    min: 0,
    max: 1,
    varies: true,
    help: "lambda: 0 is the unlabelled prediction, 1 the most",
  },
} as const;

const ratio = ({ alpha, sigma }: Level): number => sigma / alpha;

/**
 * CFG++: x0 is that of both halves, renoised with the noise of the unlabelled half alone. A step of
 * DDIM then moves by `alpha_to * lambda * (labelled - free)`, as cfg does with the scale
 * `lambda / (1 - r_to / r_from)` with r = sigma / alpha (section 3.3): in this form x0 and eps stay
 * the two halves of x. It equals the paper's with ddim (eta=0).
 */
const cfgpp: Guidance<typeof options> = {
  name: "cfgpp",
  summary: "cfg whose scale fits the step, so that images stay on the manifold",
  paper: "https://arxiv.org/abs/2406.08070", // Algorithm 2
  options,
  needs: ["unconditional"],
  async guide({ x0, ...rest }, { x, at, to, unconditional, options: { scale } }) {
    const left = ratio(to) / ratio(at); // of the noise, after this step
    const s = left < 1 ? scale / (1 - left) : scale; // a step that goes nowhere has no scale
    return fromX0(x, at, combine([s, x0], [1 - s, (await unconditional()).x0]), rest);
  },
};
export default cfgpp;
