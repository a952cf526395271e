import { combine, type Images, type Sampler } from "../plugin.ts";
import { quadrature } from "./_quadrature.ts";

const options = {
  order: { type: "number", default: 4, min: 1, max: 4, integer: true, help: "slopes it goes by" },
} as const;

/** A slope of the flow and the ratio sigma / alpha where it was. */
interface Slope {
  readonly ratio: number;
  readonly eps: Images;
}

/** Integrates the polynomial through the last slopes: Adams-Bashforth with uneven steps. */
const lms: Sampler<typeof options, readonly Slope[]> = {
  name: "lms",
  summary: "linear multistep on the flow of EDM, one call a step",
  paper: "https://arxiv.org/abs/2206.00364", // the flow, equation 1; the method is Adams-Bashforth
  order: 2,
  options,
  async step({ x, from, to, predict, options: { order } }, history = []) {
    const { x0, eps } = await predict(x, from);
    if (from.alpha === 0) return { x: combine([to.alpha, x0], [to.sigma, eps]) };
    const ratio = from.sigma / from.alpha;
    const earlier = history.filter((slope) => slope.ratio !== ratio);
    const slopes = [{ ratio, eps }, ...earlier].slice(0, order);
    const nodes = slopes.map((slope) => slope.ratio - ratio);
    const far = to.sigma / to.alpha - ratio;
    const moments = nodes.map((_, k) => far ** (k + 1) / (k + 1)); // of s^k from 0 to far
    const moves = quadrature(nodes, moments).map((weight, i) =>
      [to.alpha * weight, slopes[i]?.eps ?? eps] as [number, Images]
    );
    return { x: combine([to.alpha / from.alpha, x], ...moves), history: slopes };
  },
};
export default lms;
