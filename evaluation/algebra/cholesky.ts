import { type Doubles, zeros } from "./matrix.ts";

/**
 * A factor F of a positive semidefinite matrix, `A = Fᵀ F`, by Cholesky's method with pivots
 * (Higham 2002, section 10.3): it has as many rows as A has rank, so a covariance of few images in
 * many dimensions has a small one.
 *
 * @returns `[rank, n]`.
 */
export function factorOf({ rows: size, values: matrix }: Doubles): Doubles {
  // Row k of F at each step is the pivot's column of what is left of A, scaled.
  const rest = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
  const tolerance = size * Number.EPSILON * Math.max(0, ...rest);
  const factor = zeros(size, size);
  const { values } = factor;
  let rank = 0;
  for (; rank < size; rank++) {
    let pivot = 0;
    for (let i = 1; i < size; i++) if (rest[i]! > rest[pivot]!) pivot = i;
    if (!(rest[pivot]! > tolerance)) break;
    const row = values.subarray(rank * size, (rank + 1) * size);
    row.set(matrix.subarray(pivot * size, (pivot + 1) * size));
    for (let k = 0; k < rank; k++) {
      const weight = values[k * size + pivot]!;
      if (weight === 0) continue;
      const before = values.subarray(k * size, (k + 1) * size);
      for (let i = 0; i < size; i++) row[i]! -= weight * before[i]!;
    }
    const root = Math.sqrt(rest[pivot]!);
    for (let i = 0; i < size; i++) {
      row[i]! /= root;
      rest[i]! -= row[i]! ** 2;
    }
    rest[pivot] = -Infinity; // done with
  }
  return { rows: rank, columns: size, values: values.subarray(0, rank * size) };
}
