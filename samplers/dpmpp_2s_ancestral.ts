import { combine, type Sampler } from "../plugin.ts";
import { ancestral, ancestralOptions } from "./_ancestral.ts";

/** A midpoint step of DPM-Solver++ to a lower level, and noise back up. */
const dpmpp2sAncestral: Sampler<typeof ancestralOptions> = {
  name: "dpmpp_2s_ancestral",
  summary: "DPM-Solver++ in single steps, too far down and with noise again",
  paper: "https://arxiv.org/abs/2211.01095", // Algorithm 1 with r = 1/2, as k-diffusion extends it
  calls: 2,
  options: ancestralOptions,
  async step({ x, from, to, process, predict, noise, options: { eta, s_noise } }) {
    const { x0, eps } = await predict(x, from);
    const { down, up } = ancestral(from, to, eta);
    const { alpha } = to;
    const added = [alpha * up * s_noise, noise] as const;
    if (down === 0 || from.alpha === 0) {
      return { x: combine([alpha, x0], [alpha * down, eps], [...added]) };
    }
    const middle = process.atRatio(Math.sqrt(from.sigma / from.alpha * down));
    const half = combine([middle.alpha, x0], [middle.sigma, eps]);
    const { x0: clean } = await predict(half, middle);
    const share = down * from.alpha / from.sigma; // e^-h
    const kept = alpha * down / from.sigma;
    return { x: combine([kept, x], [alpha * (1 - share), clean], [...added]) };
  },
};
export default dpmpp2sAncestral;
