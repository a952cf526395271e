import { combine, type Images, type Level } from "../plugin.ts";
import type { Options, Prediction, Step } from "../plugin.ts";

/** The options of samplers that step down too far and add noise again. */
export const ancestralOptions = {
  eta: {
    type: "number",
    default: 1,
    min: 0,
    help: "noise of a step: 0 is deterministic, 1 is all",
  },
  s_noise: { type: "number", default: 1, min: 0, help: "standard deviation of the added noise" },
} as const satisfies Options;

/**
 * The noise level that a step goes down to and the noise that takes it up again, both as ratios
 * sigma / alpha: `down² + up²` is the square of the ratio at `to`.
 */
export function ancestral(from: Level, to: Level, eta: number): { down: number; up: number } {
  const ratio = to.sigma / to.alpha;
  const share = (ratio * from.alpha / from.sigma) ** 2;
  const up = Math.min(ratio, eta * ratio * Math.sqrt(Math.max(0, 1 - share)));
  return { down: Math.sqrt(ratio ** 2 - up ** 2), up };
}

/**
 * A step down in two stages, by the prediction at the geometric mean of both noise levels, and noise
 * back up. Where no mean is to be had, it is one of Euler.
 *
 * @param go Terms of the images at the lower level, over alpha, whose noise level is `down`.
 */
export async function ancestralMidpoint(
  { x, from, to, process, predict, noise, options }: Step<typeof ancestralOptions>,
  go: (middle: Prediction, down: number) => [number, Images][],
): Promise<{ readonly x: Images }> {
  const { x0, eps } = await predict(x, from);
  const { down, up } = ancestral(from, to, options.eta);
  const { alpha } = to;
  let terms: [number, Images][] = [[1, x0], [down, eps]];
  if (down > 0 && from.alpha > 0) {
    const at = process.atRatio(Math.sqrt(from.sigma / from.alpha * down));
    terms = go(await predict(combine([at.alpha, x0], [at.sigma, eps]), at), down);
  }
  const scaled = terms.map(([weight, images]): [number, Images] => [alpha * weight, images]);
  return { x: combine(...scaled, [alpha * up * options.s_noise, noise]) };
}
