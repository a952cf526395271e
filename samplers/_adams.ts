import { combine, type Images, type Level } from "../plugin.ts";

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

/** Takes images to another level along a given noise (PNDM, equation 11); alpha is not 0. */
export function transfer(x: Images, from: Level, to: Level, eps: Images): Images {
  const ratio = to.alpha / from.alpha;
  return combine([ratio, x], [to.sigma - ratio * from.sigma, eps]);
}
