/**
 * The two ways in which images are brought to Inception's 299 pixels. Figures of one cannot be set
 * beside those of the other (Parmar et al. 2022, "On aliased resizing").
 *
 * @module
 */

/** Images on the scale of bytes, which need not be whole numbers. */
export interface Pixels {
  /** NHWC, in [0, 255]. */
  readonly values: Float32Array;
  readonly shape: readonly [count: number, height: number, width: number, channels: number];
}

/** What is done to images before their features are taken. */
export type Preprocess = (typeof PREPROCESSES)[number];

/** `fid` as TensorFlow's graph of 2015 does, `clean-fid` as the library of that name. */
export const PREPROCESSES = ["none", "fid", "clean-fid"] as const;

const EDGE = 299;

/** Brings images to the size that Inception reads. */
export function preprocess(pixels: Pixels, kind: Preprocess): Pixels {
  if (kind === "none") return pixels;
  return kind === "fid"
    ? resample(pixels, EDGE, EDGE, tensorflowBilinear)
    : clamped(resample(pixels, EDGE, EDGE, pillowBicubic));
}

/** The pixels of a line that one pixel of the new line is mixed of. */
interface Tap {
  readonly start: number;
  readonly weights: readonly number[];
}

/** The taps of a whole line. */
type Filter = (from: number, to: number) => Tap[];

/**
 * TensorFlow's `ResizeBilinear` without aligned corners, as it was before half-pixel centers: pixel
 * i lies at i · from / to, and shrinking skips pixels instead of averaging them.
 */
export const tensorflowBilinear: Filter = (from, to) =>
  Array.from({ length: to }, (_, i) => {
    const place = Math.fround(i * Math.fround(from / to));
    const start = Math.min(from - 1, Math.floor(place));
    const share = place - start;
    return start === from - 1 ? { start, weights: [1] } : { start, weights: [1 - share, share] };
  });

/** Keys' cubic with a = -1/2, 0 beyond 2. */
function cubic(x: number): number {
  const a = -0.5;
  const size = Math.abs(x);
  if (size < 1) return ((a + 2) * size - (a + 3)) * size * size + 1;
  return size < 2 ? (((size - 5) * size + 8) * size - 4) * a : 0;
}

/** Pillow's `BICUBIC`: pixel centers at one half, and a filter that widens where it shrinks. */
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

/** A cubic overshoots at edges; clean-fid cuts that off. */
function clamped({ values, shape }: Pixels): Pixels {
  return { shape, values: values.map((value) => Math.min(255, Math.max(0, value))) };
}
