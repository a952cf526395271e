import { add, cast, greater, image, mul, sub } from "tfjs";
import { combine, fromX0, type Guidance, type Images } from "../plugin.ts";
import { neighbors, separable } from "./_separable.ts";

const options = {
  scale: { type: "number", default: 0.75, min: 0, varies: true, help: "0 is off" },
  threshold: {
    type: "number",
    default: 1,
    min: 0,
    help: "places with more attention are blurred; 1 is the mean",
  },
  sigma: {
    type: "number",
    default: 1,
    min: 0.01,
    help: "standard deviation of the blur in pixels; 3 in the paper's, for 128 pixels and more",
  },
  radius: {
    type: "number",
    default: 4,
    min: 1,
    max: 64,
    integer: true,
    help: "pixels on each side that the blur looks at",
  },
} as const;

/** Images blurred by a normal distribution that is cut off at a radius. */
function blurred(images: Images, sigma: number, radius: number): Images {
  const taps = Array.from(
    { length: 2 * radius + 1 },
    (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = taps.reduce((sum, tap) => sum + tap, 0);
  return separable(images, (size) => neighbors(size, taps.map((tap) => tap / sum)));
}

/** 1 where there is more attention than the threshold, else 0, in the size of x. */
function maskOf(attention: Images, x: Images, threshold: number): Images {
  const [, height, width] = x.shape;
  const mask = cast(greater(attention, threshold), "float32") as Images;
  return image.resizeNearestNeighbor(mask, [height, width]);
}

/**
 * Self-attention guidance: away from what the network makes of images that are blurred where it
 * looks most, and have the same noise.
 */
const sag: Guidance<typeof options> = {
  name: "sag",
  summary: "extrapolates from a prediction for images blurred where attention is high",
  paper: "https://arxiv.org/abs/2210.00939", // Algorithm 1
  options,
  needs: ["attention"],
  async guide(prediction, { x, at, unguided, attention, again, options }) {
    const { scale, threshold, sigma, radius } = options;
    if (scale === 0) return prediction;
    const mask = maskOf(await attention(), x, threshold);
    const blur = sub(blurred(unguided.x0, sigma, radius), unguided.x0);
    const degraded: Images = add(unguided.x0, mul(mask, blur));
    const worse = await again(combine([at.alpha, degraded], [at.sigma, unguided.eps]));
    // eps + scale * (eps of x - eps of what was degraded), whose clean images are not at x
    const { x0, ...rest } = prediction;
    return fromX0(x, at, combine([1, x0], [scale, degraded], [-scale, worse.x0]), rest);
  },
};
export default sag;
