import * as tf from "tfjs";
import { combine, fromX0, type Guidance, type Images } from "../plugin.ts";
import { neighbors, separable } from "./_separable.ts";

const options = {
  scale: { type: "number", default: 0.75, min: 0, varies: true, help: "0 is off" },
  blur: { type: "number", default: 1, min: 0.1, max: 10, help: "of the blur, in pixels" },
  threshold: {
    type: "number",
    default: 1,
    min: 0,
    help: "the attention, of mean 1, from which a place is blurred",
  },
} as const;

/** Self-attention guidance: away from the prediction for an image blurred where attention lies. */
const sag: Guidance<typeof options> = {
  name: "sag",
  summary: "leads away from the prediction for an image blurred where attention lies",
  paper: "https://arxiv.org/abs/2210.00939", // equations 14 to 17
  options,
  needs: ["attention", "again"],
  async guide(prediction, { x, at, unguided, attention, again, options }) {
    const { scale, blur, threshold } = options;
    if (scale === 0) return prediction;
    const seen = tf.tile(await attention(), [1, 1, 1, x.shape[3]]);
    const mask = tf.greater(seen, threshold);
    const { x0: clean, eps } = unguided;
    const blurred = tf.where(mask, gaussianBlur(clean, blur), clean) as Images;
    const degraded = await again(combine([at.alpha, blurred], [at.sigma, eps]));
    // The paper's eps + scale (eps - degraded.eps), by x = alpha x0 + sigma eps of both images.
    const { x0, ...rest } = prediction;
    const moved = combine([1, x0], [scale, blurred], [-scale, degraded.x0]);
    return fromX0(x, at, moved, rest);
  },
};

/** A blur with a normal distribution of pixels, cut off at four deviations; the border is mirrored. */
function gaussianBlur(images: Images, deviation: number): Images {
  const radius = Math.ceil(4 * deviation);
  const weights = Array.from(
    { length: 2 * radius + 1 },
    (_, i) => Math.exp(-0.5 * ((i - radius) / deviation) ** 2),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const kernel = weights.map((weight) => weight / total);
  return separable(images, (size) => neighbors(size, kernel));
}
export default sag;
