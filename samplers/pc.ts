import { div, mul, pow, sqrt, sum } from "tfjs";
import { combine, type Images, type Sampler } from "../plugin.ts";

const options = {
  predictor: {
    type: "choice",
    choices: ["reverse_diffusion", "ancestral", "none"],
    default: "reverse_diffusion",
    help: "how a step goes down to the next level",
  },
  corrector_steps: { type: "number", default: 1, min: 0, integer: true, help: "moves before it" },
  snr: { type: "number", default: 0.16, min: 0, help: "signal to noise of a corrector's move" },
} as const;

/** The norm of each image, `[batch, 1, 1, 1]`; the paper's code takes its mean over the batch. */
const normOf = (images: Images): Images => sqrt(sum(pow(images, 2), [1, 2, 3], true)) as Images;

/** Langevin moves at a level, then a step of the reverse diffusion: VE and VP in one form. */
const pc: Sampler<typeof options> = {
  name: "pc",
  summary: "predictor-corrector sampling of score-based models (VE and VP)",
  paper: "https://arxiv.org/abs/2011.13456", // Algorithms 2 to 5, appendices F and G
  calls: 2,
  options,
  async step({ x: start, from, to, predict, noise, options }) {
    const { corrector_steps, snr, predictor } = options;
    const ratio = from.alpha / to.alpha; // 1 for VE, sqrt(1 - beta) of the stride for VP
    let x = start;
    for (let move = 0; move < corrector_steps && ratio > 0; move++) {
      const { eps } = await predict(x, from);
      const draw = noise();
      const size = mul(pow(div(normOf(draw), normOf(eps)), 2), 2 * (ratio * snr * from.sigma) ** 2);
      x = combine([1, x], [mul(size, -1 / from.sigma), eps], [sqrt(mul(size, 2)), draw]);
    }
    if (predictor === "none" && to.sigma > 0) return { x };
    const { x0, eps } = await predict(x, from);
    if (to.sigma === 0) return { x: combine([to.alpha, x0]) }; // the mean of the last step
    if (ratio === 0) return { x: combine([to.alpha, x0], [to.sigma, noise]) };
    const beta = Math.max(0, from.sigma ** 2 - (ratio * to.sigma) ** 2);
    const kept = predictor === "ancestral" ? 1 / ratio : 2 - ratio;
    const moved = beta / from.sigma * (predictor === "ancestral" ? 1 / ratio : 1);
    // Ancestral steps of VE draw from the posterior, those of VP with its larger variance.
    const share = predictor === "ancestral" && ratio === 1 ? to.sigma / from.sigma : 1;
    return { x: combine([kept, x], [-moved, eps], [share * Math.sqrt(beta), noise]) };
  },
};
export default pc;
