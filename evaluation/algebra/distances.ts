/**
 * Distances of all pairs of features, in blocks: of 50,000 by 50,000 they are never in memory at
 * once.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../../engines/engine.ts";
import type { Features } from "./matrix.ts";

/** Rows and columns of a block. */
const BLOCK = 2048;

/** A block of squared distances. */
export interface DistanceBlock {
  /** The first row of the left features, and how many. */
  readonly row: number;
  readonly rows: number;
  /** The first row of the right features, and how many. */
  readonly column: number;
  readonly columns: number;
  /** `[rows, columns]`, at least 0. */
  readonly squares: Float32Array;
}

/** Visits all pairs of two sets of features, or of one with itself, row block by row block. */
export type Distances = (
  left: Features,
  right: Features,
  visit: (block: DistanceBlock) => void,
) => Promise<void>;

/**
 * Distances computed on an engine, in single precision: |a − b|² = |a|² + |b|² − 2ab about the
 * common mean, so that little cancels. A row's distance to itself is 0 exactly.
 */
export function distancesOn(engine: Engine): Distances {
  const multiply: Compiled = engine.compile(
    (_, a, b) => [tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true)],
    new Map(),
  );
  return async (left, right, visit) => {
    if (left.columns !== right.columns) {
      throw new RangeError(
        `Cannot compare features of ${left.columns} dimensions with some of ${right.columns}`,
      );
    }
    const mean = meanOf(right);
    for (let row = 0; row < left.rows; row += BLOCK) {
      const a = centered(left, mean, row);
      for (let column = 0; column < right.rows; column += BLOCK) {
        const b = centered(right, mean, column);
        const [tensor] = await multiply(a.tensor, b.tensor);
        if (tensor === undefined) throw new Error("The engine multiplied nothing");
        const squares = await tensor.data() as Float32Array;
        for (let i = 0, at = 0; i < a.rows; i++) {
          const own = a.norms[i]!;
          for (let j = 0; j < b.rows; j++, at++) {
            squares[at] = Math.max(0, own + b.norms[j]! - 2 * squares[at]!);
          }
          if (left === right && row === column) squares[i * b.rows + i] = 0;
        }
        visit({ row, rows: a.rows, column, columns: b.rows, squares });
        tf.dispose([b.tensor, tensor]);
      }
      a.tensor.dispose();
    }
  };
}

function meanOf({ rows, columns, values }: Features): Float64Array {
  const mean = new Float64Array(columns);
  for (let at = 0; at < values.length; at++) mean[at % columns]! += values[at]! / rows;
  return mean;
}

/** Rows from `start` on, less the mean, with their squared norms. */
function centered({ rows, columns, values }: Features, mean: Float64Array, start: number) {
  const count = Math.min(BLOCK, rows - start);
  const moved = new Float32Array(count * columns);
  const norms = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < columns; column++) {
      const value = Math.fround(values[(start + row) * columns + column]! - mean[column]!);
      moved[row * columns + column] = value;
      norms[row]! += value * value;
    }
  }
  return { rows: count, norms, tensor: tf.tensor2d(moved, [count, columns]) };
}
