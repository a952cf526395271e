import { add, exp, mul, sqrt } from "tfjs";
import { combine, type Sampler } from "../plugin.ts";

const options = {
  variance: {
    type: "choice",
    choices: ["model", "small", "large"],
    default: "model",
    help: "model: learned where the network has it, else small; small: posterior; large: beta",
  },
} as const;

/** Ancestral sampling: draws from q(x_to | x_from, x0) with the predicted x0. */
const ddpm: Sampler<typeof options> = {
  name: "ddpm",
  summary: "ancestral sampling from the reverse Markov chain",
  paper: "https://arxiv.org/abs/2006.11239", // Algorithm 2, equations 6 and 7
  options,
  takesShift: true,
  async step({ x, from, to, predict, noise, options: { variance } }) {
    const { x0, mix, shift } = await predict(x, from);
    const ratio = from.alpha / to.alpha; // sqrt(alpha_t) of this stride
    const large = from.sigma ** 2 - (ratio * to.sigma) ** 2; // beta_t
    const share = (to.sigma / from.sigma) ** 2;
    const small = large * share; // posterior variance
    const mean = combine([ratio * share, x], [to.alpha * large / from.sigma ** 2, x0]);
    if (small <= 0) return { x: mean }; // clean, or no step at all: nothing is drawn
    const [low, high] = [Math.log(small), Math.log(large)];
    const spread = variance === "model" && mix !== undefined
      ? exp(add(mul(mix, high - low), low)) // Improved DDPM, equation 15
      : Math.exp(variance === "large" ? high : low);
    const std = typeof spread === "number" ? Math.sqrt(spread) : sqrt(spread);
    const guided = shift ? combine([1, mean], [spread, shift]) : mean; // ADM, Algorithm 1
    return { x: combine([1, guided], [std, noise]) };
  },
};
export default ddpm;
