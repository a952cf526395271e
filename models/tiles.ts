/**
 * Large images in overlapping tiles: what takes the memory of a whole image is done to one tile at
 * a time.
 *
 * @module
 */
import * as tf from "tfjs";

/** How an image is cut, in elements of what is cut. */
export interface Tiling {
  /** Height and width of a tile. */
  readonly tile: number;
  /** What two neighbors share of it at least, below half a tile. */
  readonly overlap: number;
}

/**
 * Where tiles of one length begin that cover a line, evenly spread: all have one shape, so that an
 * engine prepares one, and the last needs no border.
 */
export function tileStarts(length: number, { tile, overlap }: Tiling): number[] {
  if (length <= tile) return [0];
  const count = Math.ceil((length - overlap) / (tile - overlap));
  const begin = (index: number) => Math.round(index * (length - tile) / (count - 1));
  return Array.from({ length: count }, (_, index) => begin(index));
}

/**
 * The weights along a tile's edge: they rise over the overlap, unless the image ends there. The sum
 * of all tiles is divided by that of their weights, so every ramp above 0 blends without a seam.
 */
function weightsAlong(size: number, overlap: number, isFirst: boolean, isLast: boolean) {
  return Float32Array.from({ length: size }, (_, index) => {
    const before = isFirst ? 1 : (index + 0.5) / overlap;
    const after = isLast ? 1 : (size - index - 0.5) / overlap;
    return Math.min(1, before, after);
  });
}

/** Sums of weighted tiles on the way to an image `[batch, height, width, channel]`. */
class Canvas {
  readonly #shape: readonly [number, number, number, number];
  readonly #sums: Float32Array;
  readonly #weights: Float32Array; // of each pixel

  constructor(shape: readonly [number, number, number, number]) {
    const [batch, height, width, channels] = shape;
    this.#shape = shape;
    this.#sums = new Float32Array(batch * height * width * channels);
    this.#weights = new Float32Array(height * width);
  }

  /** Adds a tile whose first pixel lies at (top, left), weighted by rows and columns. */
  add(
    values: ArrayLike<number>,
    [top, left]: readonly [number, number],
    [rows, columns]: readonly [Float32Array, Float32Array],
  ): void {
    const [batch, height, width, channels] = this.#shape;
    const pixels = rows.length * columns.length;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const [y, x] = [Math.trunc(pixel / columns.length), pixel % columns.length];
      const weight = rows[y]! * columns[x]!; // both are in range
      const at = (top + y) * width + left + x;
      this.#weights[at]! += weight;
      for (let index = 0; index < batch; index++) {
        const from = (index * pixels + pixel) * channels;
        const to = (index * height * width + at) * channels;
        for (let channel = 0; channel < channels; channel++) {
          this.#sums[to + channel]! += weight * values[from + channel]!;
        }
      }
    }
  }

  /** The weighted means. */
  image(): tf.Tensor4D {
    const channels = this.#shape[3];
    const weightOf = (index: number) =>
      this.#weights[Math.trunc(index / channels) % this.#weights.length]!;
    return tf.tensor4d(this.#sums.map((sum, index) => sum / weightOf(index)), [...this.#shape]);
  }
}

/**
 * A function of images, computed tile by tile and blended where tiles overlap. Tiles see no pixels
 * but their own, so the answer is near to that of the whole image and not equal to it.
 *
 * @param image `[batch, height, width, channel]`; not disposed.
 * @param compute Answers a tile with one that is `rate` times as high and as wide; disposes nothing.
 * @param rate A whole number, such as the 8 of a decoder, or 1 by one, such as the 1/8 of an encoder;
 * edges, tile and overlap must be divisible by the latter.
 * @throws {RangeError} Where the overlap is not from 1 to below half a tile.
 */
export async function inTiles(
  image: tf.Tensor4D,
  compute: (tile: tf.Tensor4D) => Promise<tf.Tensor4D>,
  rate: number,
  { tile, overlap }: Tiling,
): Promise<tf.Tensor4D> {
  if (!(overlap >= 1 && overlap < tile / 2)) {
    throw new RangeError(
      `Cannot cut tiles of ${tile} with an overlap of ${overlap}: it must be from 1 to below ${
        tile / 2
      }`,
    );
  }
  const [batch, height, width] = image.shape;
  const unit = Math.max(1, 1 / rate); // of the input, so that tiles of the answer begin at pixels
  const tiling = { tile: tile / unit, overlap: overlap / unit };
  const starts = (length: number) => tileStarts(length / unit, tiling).map((start) => start * unit);
  const [tops, lefts] = [starts(height), starts(width)];
  if (tops.length * lefts.length === 1) return await compute(image);
  const size = [batch, Math.min(tile, height), Math.min(tile, width), -1];
  const along = (starts: readonly number[], start: number, size: number) =>
    weightsAlong(size, overlap * rate, start === 0, start === starts.at(-1));
  let canvas: Canvas | undefined;
  for (const top of tops) {
    for (const left of lefts) {
      const part = tf.slice(image, [0, top, left, 0], size);
      const answer = await compute(part);
      const [, high, wide, channels] = answer.shape;
      canvas ??= new Canvas([batch, height * rate, width * rate, channels]);
      canvas.add(await answer.data(), [top * rate, left * rate], [
        along(tops, top, high),
        along(lefts, left, wide),
      ]);
      tf.dispose([part, answer]);
    }
  }
  if (canvas === undefined) throw new Error("Cannot cut an image into no tiles");
  return canvas.image();
}
