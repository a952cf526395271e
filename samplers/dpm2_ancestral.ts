import { combine, type Sampler } from "../plugin.ts";
import { ancestral, ancestralOptions } from "./_ancestral.ts";

/** The midpoint step of dpm2 to a lower level, and noise back up. */
const dpm2Ancestral: Sampler<typeof ancestralOptions> = {
  name: "dpm2_ancestral",
  summary: "dpm2 that goes too far down and adds noise again",
  paper: "https://arxiv.org/abs/2206.00927", // Algorithm 1 with r1 = 1/2, as k-diffusion extends it
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
    const high = from.sigma / from.alpha;
    const middle = process.atRatio(Math.sqrt(high * down));
    const { eps: slope } = await predict(combine([middle.alpha, x0], [middle.sigma, eps]), middle);
    const kept = alpha / from.alpha;
    return { x: combine([kept, x], [alpha * (down - high), slope], [...added]) };
  },
};
export default dpm2Ancestral;
