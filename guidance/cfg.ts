import { combine, fromX0, type Guidance } from "../plugin.ts";

const options = {
  scale: { type: "number", default: 3, min: 0, help: "1 is off, more follows the label harder" },
} as const;

/**
 * Classifier-free guidance: away from the unconditional x0, past the conditional.
 * The same as mixing eps, since weights sum to 1, and finite where alpha is 0.
 */
const cfg: Guidance<typeof options> = {
  name: "cfg",
  summary: "extrapolates from the unlabelled prediction to the labelled one",
  paper: "https://arxiv.org/abs/2207.12598", // equation 6, with scale = 1 + w
  options,
  needs: ["unconditional"],
  async guide(prediction, { x, at, unconditional, options: { scale } }) {
    if (scale === 1) return prediction;
    const { x0, ...rest } = prediction; // the variance stays that of the labelled half
    const free = (await unconditional()).x0;
    return fromX0(x, at, combine([scale, x0], [1 - scale, free]), rest);
  },
};
export default cfg;
