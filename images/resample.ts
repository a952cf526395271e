/**
 * Images of another size, each pixel a weighted mean of some of the old ones.
 *
 * @module
 */

/** Images on any scale. */
export interface Pixels {
  /** NHWC. */
  readonly values: Float32Array;
  readonly shape: readonly [count: number, height: number, width: number, channels: number];
}

/** The pixels of a line that one pixel of the new line is mixed of. */
export interface Tap {
  readonly start: number;
  readonly weights: readonly number[];
}

/** The taps of a whole line. */
export type Filter = (from: number, to: number) => Tap[];

/** Keys' cubic with a = -1/2, 0 beyond 2. */
function cubic(x: number): number {
  const a = -0.5;
  const size = Math.abs(x);
  if (size < 1) return ((a + 2) * size - (a + 3)) * size * size + 1;
  return size < 2 ? (((size - 5) * size + 8) * size - 4) * a : 0;
}

/**
 * Pillow's `BICUBIC`, torch's with antialiasing: pixel centers at one half, and a filter that widens
 * where it shrinks.
 */
export const pillowBicubic: Filter = (from, to) => {
  const scale = from / to;
  const width = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - 2 * width + 0.5));
    const end = Math.min(from, Math.trunc(center + 2 * width + 0.5));
    const raw = Array.from(
      { length: end - start },
      (_, j) => cubic((start + j - center + 0.5) / width),
    );
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    return { start, weights: raw.map((weight) => weight / total) };
  });
};

/** Resizes along the rows, then along the columns. */
export function resample(pixels: Pixels, height: number, width: number, filter: Filter): Pixels {
  const [count, rows, columns, channels] = pixels.shape;
  const wide = new Float32Array(count * rows * width * channels);
  const across = filter(columns, width);
  for (let line = 0; line < count * rows; line++) {
    across.forEach(({ start, weights }, x) => {
      const to = (line * width + x) * channels;
      weights.forEach((weight, j) => {
        const from = (line * columns + start + j) * channels;
        for (let c = 0; c < channels; c++) wide[to + c]! += weight * pixels.values[from + c]!;
      });
    });
  }
  const span = width * channels;
  const values = new Float32Array(count * height * span);
  const down = filter(rows, height);
  for (let image = 0; image < count; image++) {
    down.forEach(({ start, weights }, y) => {
      const to = (image * height + y) * span;
      weights.forEach((weight, j) => {
        const from = (image * rows + start + j) * span;
        for (let x = 0; x < span; x++) values[to + x]! += weight * wide[from + x]!;
      });
    });
  }
  return { values, shape: [count, height, width, channels] };
}
