import { combine, type Sampler } from "../plugin.ts";
import { ancestral, ancestralOptions } from "./_ancestral.ts";

const options = {
  ...ancestralOptions,
  r: { type: "number", default: 0.5, min: 0.01, max: 1, help: "where in log-noise the middle is" },
} as const;

/** Two ancestral stages: to a level between, and from the start to the end by both answers. */
const dpmppSde: Sampler<typeof options> = {
  name: "dpmpp_sde",
  summary: "DPM-Solver++ in single steps of two stages, each with noise",
  paper: "https://arxiv.org/abs/2211.01095", // Algorithm 1, as k-diffusion makes it stochastic
  calls: 2,
  options,
  async step({ x, from, to, process, predict, noise, options: { eta, s_noise, r } }) {
    const { x0, eps } = await predict(x, from);
    const whole = ancestral(from, to, eta);
    const { alpha } = to;
    if (to.sigma === 0 || from.alpha === 0) {
      const added = alpha * whole.up * s_noise;
      return { x: combine([alpha, x0], [alpha * whole.down, eps], [added, noise]) };
    }
    const [high, low] = [from.sigma / from.alpha, to.sigma / to.alpha];
    const middle = process.atRatio(high ** (1 - r) * low ** r);
    const part = ancestral(from, middle, eta);
    const stage = combine(
      [middle.alpha, x0],
      [middle.alpha * part.down, eps],
      [middle.alpha * part.up * s_noise, noise],
    );
    const { x0: clean } = await predict(stage, middle);
    const rest = alpha * (1 - whole.down / high);
    const late = 1 / (2 * r);
    return {
      x: combine(
        [alpha * whole.down / from.sigma, x],
        [rest * (1 - late), x0],
        [rest * late, clean],
        [alpha * whole.up * s_noise, noise],
      ),
    };
  },
};
export default dpmppSde;
