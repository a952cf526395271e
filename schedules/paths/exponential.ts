import { linspace } from "../_numpy.ts";
import { sigmaRule } from "./_rule.ts";

/** Logarithms of sigma in equal steps. */
export default sigmaRule({
  name: "exponential",
  summary: "logarithms of sigma in equal steps",
  paper: "https://arxiv.org/abs/2206.00927", // DPM-Solver, section 3.3; NCSN's geometric series
  options: {},
  sigmas: (steps, min, max) => exponential(steps, min, max),
});

/** n sigmas from `max` to `min`, each the same share of the one before. */
export function exponential(steps: number, min: number, max: number): Float64Array {
  return linspace(Math.log(max), Math.log(min), steps).map(Math.exp);
}
