import { clipByValue, grad, sum, type Tensor } from "tfjs";
import { combine, fromX0, type Guidance, type Images } from "../plugin.ts";

const options = {
  file: {
    type: "text",
    default: "",
    value: "FILE",
    help: "its default export takes x0 in [-1, 1] and returns the loss, in tfjs operations",
  },
  operator: {
    type: "text",
    default: "",
    value: "NAME|FILE",
    help: "in place of file: what image was made by, downsample, gray or a file that exports it",
  },
  image: {
    type: "text",
    default: "",
    value: "IMAGE",
    help: "what was observed: a smaller picture for downsample, one without colors for gray",
  },
  scale: { type: "number", default: 1, min: 0, varies: true, help: "0 is off" },
  form: {
    type: "choice",
    choices: ["x0", "eps"],
    default: "x0",
    help: "x0: less scale * alpha / 2 slopes (reconstruction); eps: plus scale * sigma (universal)",
  },
  limit: {
    type: "number",
    default: 3,
    min: 0,
    help: "the most that one prediction of a pixel is moved",
  },
} as const;

/**
 * Guidance by any loss of the clean image: against its slope by x, through the network. In form x0
 * it is reconstruction guidance (Ho et al. 2022, equation 7), in form eps universal guidance.
 */
const loss: Guidance<typeof options> = {
  name: "loss",
  summary: "follows the slope of a function of the clean image, which a file exports",
  paper: "https://arxiv.org/abs/2302.07121", // equation 6; the form x0: arXiv 2204.03458
  options,
  needs: ["loss"],
  async guide(prediction, { x, at, loss, throughNetwork, options: { scale, form, limit } }) {
    if (scale === 0 || at.alpha === 0) return prediction; // pure noise shows nothing of x0
    const { x0, ...rest } = prediction;
    const slope = grad((x0: Tensor) => sum(loss(x0 as Images, at)))(x0) as Images;
    const step = form === "x0" ? scale * at.alpha / 2 : scale * at.sigma ** 2 / at.alpha;
    const move = clipByValue(combine([step, await throughNetwork(slope)]), -limit, limit);
    return fromX0(x, at, combine([1, x0], [-1, move]), rest);
  },
};
export default loss;
