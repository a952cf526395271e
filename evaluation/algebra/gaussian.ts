/**
 * Features as a Gaussian: what the Fréchet distance compares.
 *
 * @module
 */
import { addProduct, type Doubles, type Features, zeros } from "./matrix.ts";

/** Mean and covariance of features. */
export interface Gaussian {
  /** Images that it was estimated from; absent where saved statistics do not say. */
  readonly count?: number | undefined;
  readonly mean: Float64Array;
  /** Symmetric, `[dims, dims]`; divided by the count less one. */
  readonly covariance: Doubles;
}

/** Rows that are multiplied at once. */
const BLOCK = 512;

/**
 * Mean and covariance, in double precision and about the mean, so that nothing cancels.
 *
 * @throws {RangeError} If there are fewer than two rows.
 */
export function gaussianOf({ rows, columns, values }: Features): Gaussian {
  if (rows < 2) {
    throw new RangeError(`Cannot take a covariance of ${rows} images: it needs at least 2`);
  }
  const mean = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      mean[column]! += values[row * columns + column]! / rows;
    }
  }
  const covariance = zeros(columns, columns);
  for (let start = 0; start < rows; start += BLOCK) {
    const count = Math.min(BLOCK, rows - start);
    const block = zeros(columns, count); // transposed, so that sums run along its rows
    for (let row = 0; row < count; row++) {
      for (let column = 0; column < columns; column++) {
        const value = values[(start + row) * columns + column]! - mean[column]!;
        block.values[column * count + row] = value;
      }
    }
    addProduct(covariance, block, block, true);
  }
  covariance.values.forEach((sum, index, all) => all[index] = sum / (rows - 1));
  return { count: rows, mean, covariance };
}
