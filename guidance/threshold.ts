import { abs, clipByValue, div, gather, maximum, minimum, neg, reshape, topk } from "tfjs";
import { combine, fromX0, type Guidance, type Images } from "../plugin.ts";

const options = {
  percentile: { type: "number", default: 0.995, min: 0.5, max: 1, help: "share of pixels kept" },
  max: { type: "number", default: 100, min: 1, help: "the largest threshold" },
  keep_eps: {
    type: "flag",
    default: false,
    help: "leave the noise as it was, as DDIM of diffusers does, though x is no longer their sum",
  },
} as const;

/** The quantile of |x0| of each image as `[batch, 1, 1, 1]`, linear between order statistics. */
function quantile(x0: Images, share: number): Images {
  const [batch] = x0.shape;
  const count = x0.size / batch;
  const above = (1 - share) * (count - 1); // position from the largest
  const first = Math.floor(above);
  const { values } = topk(abs(reshape(x0, [batch, count])), Math.min(first + 2, count));
  const at = (index: number): Images => reshape(gather(values, [index], 1), [batch, 1, 1, 1]);
  return combine([1 - (above - first), at(first)], [above - first, () => at(first + 1)]);
}

/** Dynamic thresholding: where x0 leaves the range, it is scaled back into it, not only cut. */
const threshold: Guidance<typeof options> = {
  name: "threshold",
  summary: "scales saturated pixels back into their range, so that strong guidance keeps detail",
  paper: "https://arxiv.org/abs/2205.11487", // section 2.3 and figure A.32
  options,
  guide({ x0, ...rest }, { x, at, options: { percentile, max, keep_eps } }) {
    const limit = clipByValue(quantile(x0, percentile), 1, max);
    const scaled = div<Images>(maximum(minimum(x0, limit), neg(limit)), limit);
    return keep_eps ? { ...rest, x0: scaled } : fromX0(x, at, scaled, rest);
  },
};
export default threshold;
