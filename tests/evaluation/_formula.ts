/** Inputs that the fixtures' generator computes by the same formula (tests/fixtures/evaluation). */
import type { Features } from "../../evaluation/algebra/matrix.ts";

/** 32-bit words: the finalizer of MurmurHash3 over a counter. */
export function words(count: number, seed: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => {
    let h = (i + seed * 1_000_003) >>> 0;
    h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
    h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
    return (h ^ h >>> 16) >>> 0;
  });
}

const uniform = (count: number, seed: number) =>
  Float64Array.from(words(count, seed), (word) => word / 2 ** 32);

/** Correlated columns of different widths. */
export function features(rows: number, columns: number, seed: number, shift: number): Features {
  const size = rows * columns;
  const [a, b, c] = [uniform(size, seed), uniform(size, seed + 1), uniform(size, seed + 2)];
  const common = uniform(rows, seed + 3);
  const values = Float32Array.from({ length: size }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const noise = a[at]! + b[at]! + c[at]! - 1.5;
    const width = 0.5 + (column % 7) / 8;
    return noise * width + common[row]! * (column % 3) + shift * (column % 5);
  });
  return { rows, columns, values };
}
