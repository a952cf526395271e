import { clipByValue, div, maximum, sqrt, square } from "tfjs";
import { combine, fromEps, type Guidance, type Images, sumOfImage } from "../plugin.ts";

const options = {
  scale: {
    type: "number",
    default: 10,
    min: 0,
    varies: true,
    help: "0 is off; 10 suits a network without the class, 1 one that has it too",
  },
  form: {
    type: "choice",
    choices: ["auto", "mean", "score"],
    default: "auto",
    help: "mean: shift the sampler's mean; score: shift eps; auto: mean where the sampler can",
  },
  limit: {
    type: "number",
    default: 3,
    min: 0,
    help: "in score form, the most that one prediction of a pixel is moved",
  },
  normalize: {
    type: "flag",
    default: false,
    help: "give each image's gradient the root mean square 1, so that its direction alone counts",
  },
  model: {
    type: "text",
    default: "",
    value: "MODEL",
    help: "the model whose classifier is asked; the sampled one's own without it",
  },
} as const;

/** Images whose root mean square is 1; an image of zeros stays. */
function unit(images: Images): Images {
  const mean = combine([images.shape[0] / images.size, sumOfImage(square<Images>(images))]);
  return div(images, maximum(sqrt(mean), 1e-12));
}

/** Classifier guidance: along the gradient of log p(label | x) of a classifier of noisy images. */
const classifier: Guidance<typeof options> = {
  name: "classifier",
  summary: "follows the gradient of a separately trained noisy-image classifier",
  paper: "https://arxiv.org/abs/2105.05233", // Algorithm 1 (mean) and Algorithm 2 (score)
  options,
  needs: ["classifier"],
  async guide(prediction, { x, at, classifierGradient, takesShift, options }) {
    const { scale, form, limit, normalize } = options;
    if (form === "mean" && !takesShift) {
      throw new RangeError("the sampler has no mean to shift: use form=score or another sampler");
    }
    const byScore = form === "score" || !takesShift;
    if (scale === 0 || byScore && at.alpha === 0) return prediction; // pure noise shows no class
    const slope = await classifierGradient();
    const gradient = normalize ? unit(slope) : slope;
    const { eps, shift, ...rest } = prediction;
    if (byScore) {
      const most = limit * at.alpha / at.sigma; // x0 moves by sigma / alpha of what eps does
      const pull = clipByValue(combine([scale * at.sigma, gradient]), -most, most);
      return fromEps(x, at, combine([1, eps], [-1, pull]), { ...rest, shift });
    }
    const pull = combine([scale, gradient]);
    return { ...prediction, shift: shift ? combine([1, shift], [1, pull]) : pull };
  },
};
export default classifier;
