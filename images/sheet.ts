/**
 * Contact sheets: many images in one.
 *
 * @module
 */
import type { Bitmap } from "./pixels.ts";

/** How a sheet looks. */
export interface SheetOptions {
  /** Images in a row; where absent, about square with full rows where the number allows it. */
  readonly columns?: number | undefined;
  /** Pixels around and between images, 2 where absent. */
  readonly padding?: number | undefined;
  /** The byte of the padding, 0 (black) where absent. */
  readonly background?: number | undefined;
}

/**
 * Lays equal images out in rows, in reading order. One image stays as it is, without a border.
 *
 * @throws {RangeError} If there is none, they differ in size, or an option is out of range.
 */
export function makeSheet(images: readonly Bitmap[], options: SheetOptions = {}): Bitmap {
  const [first] = images;
  if (first === undefined) throw new RangeError("Cannot make a sheet of no images");
  const { width, height, channels } = first;
  const { columns = columnsFor(images.length), padding = 2, background = 0 } = options;
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`Cannot make a sheet of ${columns} columns: it must be at least 1`);
  }
  if (!Number.isInteger(padding) || padding < 0) {
    throw new RangeError(`Cannot make a sheet with padding ${padding}: it must be at least 0`);
  }
  for (const image of images) {
    if (image.width !== width || image.height !== height || image.channels !== channels) {
      throw new RangeError(
        `Cannot make a sheet of different images: ${width}x${height}x${channels} and ` +
          `${image.width}x${image.height}x${image.channels}`,
      );
    }
  }
  if (images.length === 1) return first;
  const across = Math.min(columns, images.length);
  const down = Math.ceil(images.length / across);
  const sheet = {
    width: across * (width + padding) + padding,
    height: down * (height + padding) + padding,
    channels,
  };
  const pixels = new Uint8Array(sheet.width * sheet.height * channels).fill(background);
  for (const [index, image] of images.entries()) {
    const left = padding + (index % across) * (width + padding);
    const top = padding + Math.floor(index / across) * (height + padding);
    for (let y = 0; y < height; y++) {
      const row = image.pixels.subarray(y * width * channels, (y + 1) * width * channels);
      pixels.set(row, ((top + y) * sheet.width + left) * channels);
    }
  }
  return { ...sheet, pixels };
}

/** The fewest columns, from square to twice as wide, that fill every row; else the square's. */
function columnsFor(count: number): number {
  const square = Math.ceil(Math.sqrt(count));
  for (let columns = square; columns <= 2 * Math.sqrt(count); columns++) {
    if (count % columns === 0) return columns;
  }
  return square;
}
