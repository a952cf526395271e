/**
 * Nearest neighbors of features.
 *
 * @module
 */
import type { Distances } from "./distances.ts";
import type { Features } from "./matrix.ts";

/**
 * The squared distance of each row to its k-th nearest other one.
 *
 * @param ks several k at once, since all pairs are compared for it.
 * @throws {RangeError} If there are too few rows.
 */
export async function radii(
  x: Features,
  distances: Distances,
  ks: readonly number[],
): Promise<Float32Array[]> {
  const most = Math.max(...ks);
  if (x.rows <= most) {
    throw new RangeError(
      `Cannot find ${most} neighbors among ${x.rows} images: it takes more than ${most}`,
    );
  }
  const width = most + 1;
  const nearest = new Float32Array(x.rows * width).fill(Infinity); // ascending, itself first
  await distances(x, x, ({ row, rows, columns, squares }) => {
    for (let i = 0, at = 0; i < rows; i++) {
      const first = (row + i) * width;
      for (let j = 0; j < columns; j++, at++) {
        const square = squares[at]!;
        let place = first + most;
        if (square >= nearest[place]!) continue;
        for (; place > first && nearest[place - 1]! > square; place--) {
          nearest[place] = nearest[place - 1]!;
        }
        nearest[place] = square;
      }
    }
  });
  return ks.map((k) =>
    Float32Array.from({ length: x.rows }, (_, row) => nearest[row * width + k]!)
  );
}

/**
 * The nearest row of y for each row of x, and how far it is.
 *
 * @param own Where the rows of x are some of y: their numbers there, which do not count.
 */
export async function nearestOf(
  x: Features,
  y: Features,
  distances: Distances,
  own?: Uint32Array,
): Promise<{ readonly index: number; readonly distance: number }[]> {
  const least = new Float32Array(x.rows).fill(Infinity);
  const indices = new Uint32Array(x.rows);
  await distances(x, y, ({ row, rows, column, columns, squares }) => {
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, at++) {
        if (squares[at]! >= least[row + i]! || own?.[row + i] === column + j) continue;
        least[row + i] = squares[at]!;
        indices[row + i] = column + j;
      }
    }
  });
  return Array.from(indices, (index, row) => ({ index, distance: Math.sqrt(least[row]!) }));
}
