/**
 * How far computed tensors are from those of the original software.
 *
 * @module
 */

/** Numbers and their shape. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** What a difference is measured by. */
export type Measure =
  | "element" // the largest value of each element of the batch: of networks
  | "unit" // the largest value, at least 1: of images and of states on the way to them
  | "exact"; // nothing at all: of indices

/** The largest difference of two tensors. */
export interface Difference {
  /** In the unit of the measure. */
  readonly size: number;
  /** The place of it. */
  readonly at: readonly number[];
  readonly found: number;
  readonly expected: number;
}

/**
 * The largest difference. Where a value is not a number, that is it.
 *
 * @throws {TypeError} Where the shapes differ.
 */
export function differenceOf(found: Values, expected: Values, measure: Measure): Difference {
  if (String(found.shape) !== String(expected.shape)) {
    throw new TypeError(
      `its shape is [${found.shape.join(", ")}], [${expected.shape.join(", ")}] was expected`,
    );
  }
  const { length } = expected.data;
  const span = measure === "element" ? Math.max(1, length / (expected.shape[0] || 1)) : length;
  let worst = { size: 0, index: 0 };
  for (let start = 0; start < length; start += span) {
    let unit = measure === "unit" ? 1 : 0;
    for (let i = start; i < start + span; i++) unit = Math.max(unit, Math.abs(expected.data[i]!));
    if (measure === "exact" || unit === 0) unit = 1;
    for (let i = start; i < start + span; i++) {
      const size = Math.abs(found.data[i]! - expected.data[i]!) / unit;
      if (size > worst.size) worst = { size, index: i };
      else if (Number.isNaN(size)) worst = { size: Infinity, index: i };
    }
  }
  const { size, index } = worst;
  return {
    size,
    at: placeOf(index, expected.shape),
    found: found.data[index] ?? NaN,
    expected: expected.data[index] ?? NaN,
  };
}

function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (const size of shape.toReversed()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return place;
}
