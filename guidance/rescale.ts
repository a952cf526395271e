import { div, maximum, moments, mul, sqrt } from "tfjs";
import { combine, fromV, fromX0, type Guidance, type Images, type Level } from "../plugin.ts";
import type { Prediction } from "../plugin.ts";

const options = {
  share: {
    type: "number",
    default: 0.7,
    min: 0,
    max: 1,
    varies: true,
    help: "0 is off, 1 gives the guided answer the contrast of the unguided one",
  },
  of: {
    type: "choice",
    choices: ["v", "x0", "eps"],
    default: "v",
    help: "whose contrast: of what the network answers, v in the paper",
  },
} as const;

/** The standard deviation of each image, `[batch, 1, 1, 1]`. */
const deviation = (images: Images): Images =>
  sqrt<Images>(moments(images, [1, 2, 3], true).variance as Images);

function partOf({ x0, eps }: Prediction, { alpha, sigma }: Level, of: "v" | "x0" | "eps"): Images {
  return of === "v" ? combine([alpha, eps], [-sigma, x0]) : of === "x0" ? x0 : eps;
}

/**
 * Rescaled guidance: strong guidance raises contrast; this gives each image's answer the standard
 * deviation that it had before all guidance. It stands after the guidance that it mends.
 */
const rescale: Guidance<typeof options> = {
  name: "rescale",
  summary: "takes back the contrast that strong guidance adds",
  paper: "https://arxiv.org/abs/2305.08891", // section 3.4, equations 14 to 16
  options,
  guide(prediction, { x, at, unguided, options: { share, of } }) {
    if (share === 0 || of === "eps" && at.alpha === 0) return prediction;
    const { x0: _, eps: __, ...rest } = prediction;
    const guided = partOf(prediction, at, of);
    const flat = maximum<Images>(deviation(guided), 1e-12); // an image without any contrast
    const ratio = div<Images>(deviation(partOf(unguided, at, of)), flat);
    const made = combine([share, mul<Images>(guided, ratio)], [1 - share, guided]);
    if (of === "v") return fromV(x, at, made, rest);
    if (of === "x0") return fromX0(x, at, made, rest);
    return fromX0(x, at, combine([1 / at.alpha, x], [-at.sigma / at.alpha, made]), rest);
  },
};
export default rescale;
