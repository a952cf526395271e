import { clipByValue } from "tfjs";
import { fromX0, type Guidance } from "../plugin.ts";

const options = {
  range: { type: "number", default: 1, min: 0.01, help: "x0 is kept in [-range, range]" },
  keep_eps: {
    type: "flag",
    default: false,
    help: "leave the noise as it was, as DDIM of diffusers does, though x is no longer their sum",
  },
} as const;

/** Static thresholding: clips the predicted x0 to the range of pixels. Not for latents. */
const clip: Guidance<typeof options> = {
  name: "clip",
  summary: "keeps the predicted pixels in their range",
  paper: "https://arxiv.org/abs/2205.11487", // section 2.3, static thresholding
  options,
  guide({ x0, ...rest }, { x, at, options: { range, keep_eps } }) {
    const clipped = clipByValue(x0, -range, range);
    return keep_eps ? { ...rest, x0: clipped } : fromX0(x, at, clipped, rest);
  },
};
export default clip;
