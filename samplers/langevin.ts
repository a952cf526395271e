import { combine, type Sampler } from "../plugin.ts";

const options = {
  steps: { type: "number", default: 5, min: 1, integer: true, help: "moves at each noise level" },
  step_size: {
    type: "number",
    default: 0.06,
    min: 0,
    max: 2,
    help: "of a move in units of the squared level: epsilon over the last sigma squared",
  },
  denoise: { type: "flag", default: true, help: "end with the clean image (Tweedie's formula)" },
} as const;

/** Langevin moves at each level in turn; images pass on to the next as they are. */
const langevin: Sampler<typeof options> = {
  name: "langevin",
  summary: "annealed Langevin dynamics of score networks (NCSN)",
  paper: "https://arxiv.org/abs/1907.05600", // Algorithm 1; its last step is of arXiv 2006.09011
  calls: 5,
  options,
  async step({ x: start, from, to, predict, noise, options: { steps, step_size, denoise } }) {
    let x = start;
    for (let move = 0; move < steps; move++) {
      const { eps } = await predict(x, from); // the score is -eps / sigma
      const drift = -step_size * from.sigma / 2;
      x = combine([1, x], [drift, eps], [Math.sqrt(step_size) * from.sigma, noise]);
    }
    if (to.sigma === 0 && denoise) return { x: combine([to.alpha, (await predict(x, from)).x0]) };
    return { x };
  },
};
export default langevin;
