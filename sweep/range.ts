/**
 * Values that are typed together: `10,25,50`, and `1..10/3` for 1, 4, 7 and 10.
 *
 * @module
 */
import { readNumber } from "../plugins/number.ts";

/** Cells that a sweep has at most, hence values of a range, too. */
export const MOST = 400;

/**
 * The values of one piece of a list: those of a range, else the piece itself. A range that falls has
 * falling values; its last one is left out where no whole number of steps leads to it.
 *
 * @throws {RangeError} If a range has too many values or its step leads nowhere.
 */
export function rangeOf(piece: string): string[] {
  const [, first, last, stride] = piece.match(/^([^/]*[^./])\.\.(?!\.)([^/]+?)(?:\/(.+))?$/) ?? [];
  const [start, end] = [readNumber(first ?? ""), readNumber(last ?? "")];
  if (Number.isNaN(start) || Number.isNaN(end)) return [piece];
  const fail = (reason: string) => new RangeError(`Cannot use the range ${piece}: ${reason}`);
  const step = stride === undefined ? 1 : readNumber(stride);
  if (!(step > 0)) throw fail("its step must be a number above 0, as in 1..10/3");
  // A share such as 0.3 / 0.1 may come to a little less than 3 steps.
  const steps = Math.floor(Math.abs(end - start) / step + 1e-9);
  if (steps >= MOST) throw fail(`it has ${steps + 1} values, a sweep at most ${MOST} cells`);
  const signed = end < start ? -step : step;
  return Array.from(
    { length: steps + 1 },
    (_, i) => String(Number((start + i * signed).toPrecision(12))),
  );
}

/** The values of a list of pieces, each a value or a range. */
export function listOf(text: string): string[] {
  return text.split(",").flatMap((piece) => rangeOf(piece.trim()));
}
