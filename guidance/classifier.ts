import { combine, fromEps, type Guidance } from "../plugin.ts";

const options = {
  scale: { type: "number", default: 1, min: 0, help: "0 is off, more follows the label harder" },
  form: {
    type: "choice",
    choices: ["auto", "mean", "score"],
    default: "auto",
    help: "mean: shift the sampler's mean; score: shift eps; auto: mean where the sampler can",
  },
} as const;

/** Classifier guidance: along the gradient of log p(label | x) of a classifier of noisy images. */
const classifier: Guidance<typeof options> = {
  name: "classifier",
  summary: "follows the gradient of a separately trained noisy-image classifier",
  paper: "https://arxiv.org/abs/2105.05233", // Algorithm 1 (mean) and Algorithm 2 (score)
  options,
  needs: ["classifier"],
  async guide(prediction, { x, at, classifierGradient, takesShift, options: { scale, form } }) {
    if (form === "mean" && !takesShift) {
      throw new RangeError("the sampler has no mean to shift: use form=score or another sampler");
    }
    const byScore = form === "score" || !takesShift;
    if (scale === 0 || byScore && at.alpha === 0) return prediction; // pure noise shows no class
    const gradient = await classifierGradient();
    const { eps, shift, ...rest } = prediction;
    if (byScore) {
      const guided = combine([1, eps], [-scale * at.sigma, gradient]);
      return fromEps(x, at, guided, { ...rest, shift });
    }
    const pull = combine([scale, gradient]);
    return { ...prediction, shift: shift ? combine([1, shift], [1, pull]) : pull };
  },
};
export default classifier;
