import { linspace } from "../_numpy.ts";
import { sigmaRule } from "./_rule.ts";

/** Sigmas whose 7th roots, or others, are spaced evenly: close together where there is little noise. */
export default sigmaRule({
  name: "karras",
  summary: "roots of sigma in equal steps: most of them where there is little noise",
  paper: "https://arxiv.org/abs/2206.00364", // EDM, equation 5
  options: {
    rho: { type: "number", default: 7, min: 0.1, help: "the root; 1 is even in sigma" },
  },
  sigmas: (steps, min, max, { rho }) => karras(steps, min, max, rho),
});

/** Equation 5 of EDM (Karras et al. 2022): n sigmas from `max` to `min`. */
export function karras(steps: number, min: number, max: number, rho = 7): Float64Array {
  const root = (sigma: number) => sigma ** (1 / rho);
  return linspace(0, 1, steps).map((share) => (root(max) + share * (root(min) - root(max))) ** rho);
}
