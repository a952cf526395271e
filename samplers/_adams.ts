import { combine, type Images, type Level } from "../plugin.ts";
import type { Options, Prediction } from "../plugin.ts";

/** Weights of the last slopes, the newest first, by how many there are (Adams and Bashforth). */
const WEIGHTS = [
  [],
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
];

/** The mean slope of a step from up to four slopes at even distances, the newest first. */
export function adams(slopes: readonly Images[]): Images {
  const weights = WEIGHTS[slopes.length] ?? [];
  return combine(...slopes.map((slope, i) => [weights[i] ?? NaN, slope] as [number, Images]));
}

/** What the pseudo-numerical methods put together. */
export const slopeOptions = {
  slopes: {
    type: "choice",
    choices: ["noise", "velocity"],
    default: "noise",
    help: "what is combined: velocity as diffusers does where networks predict v, of order 1",
  },
} as const satisfies Options;

/** A slope of a prediction: its noise, or its velocity. */
export function slopeOf({ x0, eps }: Prediction, at: Level, kind: "noise" | "velocity"): Images {
  return kind === "noise" ? eps : combine([at.alpha, eps], [-at.sigma, x0]);
}

/**
 * Takes images to another level along a given slope (PNDM, equation 11); alpha is not 0. A velocity
 * is one at `from`, whatever levels it was put together of.
 */
export function transfer(
  x: Images,
  from: Level,
  to: Level,
  slope: Images,
  kind: "noise" | "velocity" = "noise",
): Images {
  const ratio = to.alpha / from.alpha;
  const rest = to.sigma - ratio * from.sigma; // of the noise
  if (kind === "noise") return combine([ratio, x], [rest, slope]);
  const square = from.alpha ** 2 + from.sigma ** 2;
  const [kept, moved] = [from.sigma / square, from.alpha / square]; // x and v in eps
  return combine([ratio + rest * kept, x], [rest * moved, slope]);
}
