/**
 * Matrices as flat arrays, row by row, and the product that everything else here is made of.
 *
 * @module
 */

/** Rows of numbers. */
export interface Matrix<T extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly rows: number;
  readonly columns: number;
  /** `rows * columns` numbers, row by row. */
  readonly values: T;
}

/** Single precision: features, as networks give them. */
export type Features = Matrix<Float32Array>;

/** Double precision: covariances and what is computed of them. */
export type Doubles = Matrix<Float64Array>;

/** A matrix of zeros. */
export function zeros(rows: number, columns: number): Doubles {
  return { rows, columns, values: new Float64Array(rows * columns) };
}

/** Some rows of a matrix, in the order asked for; the same row may come twice. */
export function rowsOf({ columns, values }: Features, indices: ArrayLike<number>): Features {
  const chosen = new Float32Array(indices.length * columns);
  for (let row = 0; row < indices.length; row++) {
    const start = indices[row]! * columns;
    chosen.set(values.subarray(start, start + columns), row * columns);
  }
  return { rows: indices.length, columns, values: chosen };
}

/** Rows and columns changed over. */
export function transposed({ rows, columns, values }: Matrix): Doubles {
  const result = zeros(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result.values[column * rows + row] = values[row * columns + column]!;
    }
  }
  return result;
}

/** Numbers of a row that are multiplied before the next rows' turn: four rows of it fit a cache. */
const DEPTH = 512;

/**
 * Adds `a bᵀ` to a matrix, in double precision. Tiles of four by four rows let sixteen sums stay in
 * registers, several times faster than one sum at a time.
 *
 * @param symmetric True where the product is known to be: only its lower half is then computed.
 */
export function addProduct(sum: Doubles, a: Matrix, b: Matrix, symmetric = false): void {
  const { values: left, columns: depth } = a;
  const { values: right } = b;
  const { values: out, columns: width } = sum;
  for (let from = 0; from < depth; from += DEPTH) {
    const to = Math.min(depth, from + DEPTH);
    for (let i = 0; i < a.rows; i += 4) {
      const end = symmetric ? Math.min(b.rows, i + 4) : b.rows;
      for (let j = 0; j < end; j += 4) {
        if (i + 4 > a.rows || j + 4 > b.rows) {
          edge(i, Math.min(a.rows, i + 4), j, Math.min(b.rows, j + 4), from, to);
          continue;
        }
        const [i0, i1, i2, i3] = [i * depth, (i + 1) * depth, (i + 2) * depth, (i + 3) * depth];
        const [j0, j1, j2, j3] = [j * depth, (j + 1) * depth, (j + 2) * depth, (j + 3) * depth];
        let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
        let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
        for (let k = from; k < to; k++) {
          const a0 = left[i0 + k]!, a1 = left[i1 + k]!, a2 = left[i2 + k]!, a3 = left[i3 + k]!;
          const b0 = right[j0 + k]!, b1 = right[j1 + k]!, b2 = right[j2 + k]!, b3 = right[j3 + k]!;
          s00 += a0 * b0;
          s01 += a0 * b1;
          s02 += a0 * b2;
          s03 += a0 * b3;
          s10 += a1 * b0;
          s11 += a1 * b1;
          s12 += a1 * b2;
          s13 += a1 * b3;
          s20 += a2 * b0;
          s21 += a2 * b1;
          s22 += a2 * b2;
          s23 += a2 * b3;
          s30 += a3 * b0;
          s31 += a3 * b1;
          s32 += a3 * b2;
          s33 += a3 * b3;
        }
        const tile = [s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32];
        tile.push(s33);
        for (let t = 0; t < 16; t++) out[(i + (t >> 2)) * width + j + (t & 3)]! += tile[t]!;
      }
    }
  }
  if (symmetric) mirror(sum);

  function edge(i0: number, i1: number, j0: number, j1: number, from: number, to: number): void {
    for (let i = i0; i < i1; i++) {
      for (let j = j0; j < j1; j++) {
        let dot = 0;
        for (let k = from; k < to; k++) dot += left[i * depth + k]! * right[j * depth + k]!;
        out[i * width + j]! += dot;
      }
    }
  }
}

/** Copies the lower half of a square matrix onto the upper one. */
function mirror({ rows, values }: Doubles): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < i; j++) values[j * rows + i] = values[i * rows + j]!;
  }
}

/** The product `a bᵀ`, see {@linkcode addProduct}. */
export function product(a: Matrix, b: Matrix, symmetric = false): Doubles {
  const result = zeros(a.rows, b.rows);
  addProduct(result, a, b, symmetric);
  return result;
}
