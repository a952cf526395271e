import { combine, fromX0, type Guidance } from "../plugin.ts";

const options = {
  scale: {
    type: "number",
    default: 3,
    min: 0,
    varies: true,
    help: "s: 1 is off, more follows the label harder; w: 0 is off",
  },
  form: {
    type: "choice",
    choices: ["s", "w"],
    default: "s",
    help: "s: free + s (labelled - free); w: labelled + w (labelled - free), the paper's",
  },
} as const;

/**
 * Classifier-free guidance: away from the unconditional x0, past the conditional.
 * The same as mixing eps, since weights sum to 1, and finite where alpha is 0.
 */
const cfg: Guidance<typeof options> = {
  name: "cfg",
  summary: "extrapolates from the unlabelled prediction to the labelled one",
  paper: "https://arxiv.org/abs/2207.12598", // equation 6, with s = 1 + w
  options,
  needs: ["unconditional"],
  async guide(prediction, { x, at, unconditional, options: { scale, form } }) {
    const s = form === "s" ? scale : 1 + scale;
    if (s === 1) return prediction;
    const { x0, ...rest } = prediction; // the variance stays that of the labelled half
    const free = (await unconditional()).x0;
    return fromX0(x, at, combine([s, x0], [1 - s, free]), rest);
  },
};
export default cfg;
