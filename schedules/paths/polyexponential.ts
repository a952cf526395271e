import { linspace } from "../_numpy.ts";
import { sigmaRule } from "./_rule.ts";

/** Logarithms of sigma along a power of the step. */
export default sigmaRule({
  name: "polyexponential",
  summary: "logarithms of sigma along a power: exponential where rho is 1",
  paper: "https://arxiv.org/abs/2206.00364", // k-diffusion's own, beside EDM's
  options: {
    rho: { type: "number", default: 1, min: 0.1, help: "the power; above 1 more of little noise" },
  },
  sigmas: (steps, min, max, { rho }) => polyexponential(steps, min, max, rho),
});

/** n sigmas from `max` to `min`, as k-diffusion's `get_sigmas_polyexponential`. */
export function polyexponential(steps: number, min: number, max: number, rho = 1): Float64Array {
  const [low, high] = [Math.log(min), Math.log(max)];
  return linspace(1, 0, steps).map((share) => Math.exp(low + share ** rho * (high - low)));
}
