import { readNumber } from "./number.ts";

/** A number that changes along a path. */
export interface Curve {
  /** All values that were typed. */
  readonly values: readonly number[];
  /** The value after a share of the path, from 0 to 1. */
  at(share: number): number;
}

/**
 * Reads `7` (constant), `linear:1:7` and `cosine:1:7` (from the first value at the beginning of the
 * path to the second at its end; Wang et al. 2024, arXiv 2404.13040) or `7x5+1x15`: 7 for 5 steps,
 * then 1 for 15. Where a path has another number of steps than 20, the list is stretched to it.
 *
 * @returns undefined where the text is none of them.
 */
export function parseCurve(text: string): Curve | undefined {
  const [, kind, ...ends] = text.match(/^(linear|cosine):([^:]+):([^:]+)$/) ?? [];
  if (kind !== undefined) {
    const values = ends.map(readNumber);
    const [first = NaN, last = NaN] = values;
    const rise = (share: number) => kind === "linear" ? share : (1 - Math.cos(Math.PI * share)) / 2;
    return curve(values, (share) => first + (last - first) * rise(share));
  }
  const steps: number[] = [];
  for (const piece of text.split("+")) {
    const [, value = piece, count = "1"] = piece.match(/^(.+)x([1-9]\d{0,4})$/) ?? [];
    steps.push(...Array<number>(Number(count)).fill(readNumber(value)));
  }
  // A share such as 3 / 20 may come to a little less than 3 of 20 steps.
  const index = (share: number) =>
    Math.min(steps.length - 1, Math.floor(share * steps.length + 1e-9));
  return curve(steps, (share) => steps[index(share)] ?? NaN);
}

function curve(values: readonly number[], at: Curve["at"]): Curve | undefined {
  return values.some(Number.isNaN) ? undefined : { values, at };
}
