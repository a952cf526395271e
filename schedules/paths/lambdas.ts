import { exponential } from "./exponential.ts";
import { sigmaRule } from "./_rule.ts";

/** logSNR in equal steps, which differs from `exponential` in flow models alone. */
export default sigmaRule({
  name: "lambdas",
  summary: "logSNR in equal steps, as DPM-Solver's paper has it",
  paper: "https://arxiv.org/abs/2206.00927", // section 3.3 and appendix E
  options: {},
  sigmas(steps, min, max, _options, process) {
    const ends = [min, max].map(process.ratioOf);
    if (ends[1] === Infinity) {
      throw new RangeError(
        "Cannot space logSNR from a level without a signal: give lambdas a sigma_max",
      );
    }
    return exponential(steps, ends[0] ?? NaN, ends[1] ?? NaN).map(process.sigmaOf);
  },
});
