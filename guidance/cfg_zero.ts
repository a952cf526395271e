import { div, maximum, mul, square } from "tfjs";
import { combine, type Guidance, type Images, type Level, sumOfImage } from "../plugin.ts";
import type { Prediction } from "../plugin.ts";

const options = {
  scale: { type: "number", default: 3, min: 0, varies: true, help: "as of cfg; 1 is off" },
  zero: {
    type: "number",
    default: 0.04,
    min: 0,
    max: 1,
    help: "share of the path at whose beginning images stay as they are",
  },
} as const;

/** The velocity of flow matching; of other levels in the frame `x / (alpha + sigma)`. */
const velocity = ({ x0, eps }: Prediction): Images => combine([1, eps], [-1, x0]);

function fromVelocity(
  x: Images,
  { alpha, sigma }: Level,
  v: Images,
  rest: Omit<Prediction, "x0" | "eps">,
): Prediction {
  const sum = alpha + sigma;
  return {
    ...rest,
    x0: combine([1 / sum, x], [-sigma / sum, v]),
    eps: combine([1 / sum, x], [alpha / sum, v]),
  };
}

/** CFG-Zero*: scales the unlabelled velocity to fit the labelled one, and waits at first. */
const cfgZero: Guidance<typeof options> = {
  name: "cfg_zero",
  summary: "cfg with the unlabelled velocity scaled to fit, and none at first; for flows",
  paper: "https://arxiv.org/abs/2503.18886", // Algorithm 1
  options,
  needs: ["unconditional"],
  async guide(prediction, { x, at, share, unconditional, options: { scale, zero } }) {
    const { x0: _, eps: __, ...rest } = prediction;
    const labelled = velocity(prediction);
    if (share < zero) return fromVelocity(x, at, combine([0, labelled]), rest);
    if (scale === 1) return prediction;
    const free = velocity(await unconditional());
    const length = maximum<Images>(sumOfImage(square<Images>(free)), 1e-12);
    const fit = div<Images>(sumOfImage(mul<Images>(labelled, free)), length); // s* in the paper
    const guided = combine([scale, labelled], [1 - scale, mul<Images>(free, fit)]);
    return fromVelocity(x, at, guided, rest);
  },
};
export default cfgZero;
