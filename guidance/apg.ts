import { div, maximum, minimum, mul, sqrt, square } from "tfjs";
import { combine, fromX0, type Guidance, type Images, sumOfImage } from "../plugin.ts";

const options = {
  scale: { type: "number", default: 4, min: 0, varies: true, help: "as of cfg; 1 is off" },
  eta: {
    type: "number",
    default: 0,
    min: 0,
    help: "weight of what is parallel to x0, which saturates; 1 is cfg's",
  },
  norm: {
    type: "number",
    default: 15,
    min: 0,
    help: "the longest difference of the two halves, as a norm over an image; 0 is no limit",
  },
  momentum: {
    type: "number",
    default: -0.75,
    min: -1,
    max: 1,
    help: "weight of former differences; below 0 it turns away from them",
  },
} as const;

const TINY = 1e-12;
const norm = (images: Images): Images => sqrt<Images>(sumOfImage(square<Images>(images)));

/** The part of images that is parallel to others, image by image. */
function parallel(images: Images, to: Images): Images {
  const length = maximum<Images>(sumOfImage(square<Images>(to)), TINY);
  return mul(to, div<Images>(sumOfImage(mul<Images>(images, to)), length));
}

/** Adaptive projected guidance; history is the running difference of the two halves. */
const apg: Guidance<typeof options, Images> = {
  name: "apg",
  summary: "cfg without the part that saturates, so that its scale can be high",
  paper: "https://arxiv.org/abs/2410.02416", // Algorithm 1
  options,
  needs: ["unconditional"],
  async guide(prediction, { x, at, unconditional, options }, history) {
    const { scale, eta, norm: limit, momentum } = options;
    const { x0, ...rest } = prediction;
    const free = (await unconditional()).x0;
    const apart = combine([1, x0], [-1, free]);
    const difference = history ? combine([1, apart], [momentum, history]) : apart;
    if (scale === 1) return { ...prediction, history: difference };
    const short = limit === 0
      ? difference
      : mul<Images>(difference, minimum(1, div(limit, maximum(norm(difference), TINY))));
    const along = parallel(short, x0);
    const update = combine([1, short], [eta - 1, along]); // orthogonal + eta * parallel
    return { ...fromX0(x, at, combine([1, x0], [scale - 1, update]), rest), history: difference };
  },
};
export default apg;
