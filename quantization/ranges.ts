/**
 * Which range the bytes of an activation cover: what lies outside is clipped, and a wider range has
 * coarser steps.
 *
 * @module
 */
import { affineOf } from "./bytes.ts";
import type { Histogram } from "./histogram.ts";
import type { Range } from "./scales.ts";

/** The ways to choose a range. */
export const RANGES = ["minmax", "percentile", "mse"] as const;

/** How ranges are chosen. */
export interface RangeChoice {
  readonly ranges: (typeof RANGES)[number];
  /** The share of values in percent that stays inside, of `percentile`. */
  readonly percentile: number;
}

/** The range for values of that distribution. */
export function rangeOf(histogram: Histogram, { ranges, percentile }: RangeChoice): Range {
  if (ranges === "minmax") return histogram.ends;
  return ranges === "percentile" ? inner(histogram, percentile) : leastError(histogram);
}

/** Without the outermost values: half of the rest on each side. */
function inner(histogram: Histogram, percentile: number): Range {
  const bins = histogram.bins();
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const outside = total * (1 - percentile / 100) / 2;
  const reach = (list: typeof bins) => {
    let sum = 0;
    return list.find(({ count }) => (sum += count) > outside)?.middle ?? 0;
  };
  return [reach(bins), reach(bins.toReversed())];
}

const CUTS = 40; // ends that are tried on each side, down to a fifth of the outermost

/** The ends with the least squared error of rounding and clipping, first above, then below. */
function leastError(histogram: Histogram): Range {
  const bins = histogram.bins();
  const error = (range: Range) => {
    const { scale, zero } = affineOf(range);
    return bins.reduce((sum, { middle, count }) => {
      const byte = Math.min(255, Math.max(0, Math.round(middle / scale) + zero));
      return sum + count * (middle - scale * (byte - zero)) ** 2;
    }, 0);
  };
  const best = (candidates: readonly Range[]) => {
    const errors = candidates.map(error);
    return candidates[errors.indexOf(Math.min(...errors))] ?? histogram.ends;
  };
  const [low, high] = histogram.ends;
  const shares = Array.from({ length: CUTS }, (_, i) => 1 - 0.8 * i / CUTS);
  const [, above] = best(shares.map((share): Range => [low, high * share]));
  return best(shares.map((share): Range => [low * share, above]));
}
