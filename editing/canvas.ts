/**
 * Pictures that a run edits: what lies where, and what of it is to be drawn anew.
 *
 * @module
 */
import { decodeImage } from "../images/load.ts";
import { type Bitmap, fromBytes } from "../images/pixels.ts";

/** The picture under a run, of the model's size. */
export interface Canvas {
  readonly image: Bitmap;
  /** For each pixel, row by row: 1 where it is drawn anew, 0 where it is kept; absent: all anew. */
  readonly open?: Uint8Array | undefined;
  /** True where nothing lies under the open pixels, because the image does not reach there. */
  readonly bare: boolean;
}

/** Images as they are asked for. */
export interface Pictures {
  readonly init: { readonly name: string; readonly bytes: Uint8Array };
  /** White is drawn anew, black is kept. */
  readonly mask?: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  /** Where the image's own upper left corner is laid, without scaling; scaled to fill if absent. */
  readonly place?: readonly [x: number, y: number] | undefined;
}

/** The size of a model's images. */
export interface CanvasSize {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/**
 * Lays the pictures out.
 *
 * @param say Told where an image is scaled, since what is kept are then the scaled pixels.
 * @throws {RangeError} Where a mask has another shape, keeps nothing or everything, or the image is
 * placed outside.
 * @throws {SyntaxError} Where a file is no image.
 */
export async function layOut(
  { init, mask, place }: Pictures,
  size: CanvasSize,
  say: (text: string) => void = () => {},
): Promise<Canvas> {
  const { width, height, channels } = size;
  const source = await decodeImage(init.bytes, init.name, { channels });
  const fits = source.width === width && source.height === height;
  if (place !== undefined) {
    const placed = placeImage(source, place, size);
    if (placed === undefined) {
      throw new RangeError(
        `Cannot place ${init.name} at ${
          place.join(",")
        }: its ${source.width}x${source.height} pixels lie outside the ${width}x${height} of the model`,
      );
    }
    const open = mask === undefined
      ? placed.open
      : (await readMask(mask, size, size)).map((value, i) => value | (placed.open[i] ?? 0));
    return { image: placed.image, open: checkOpen(open, mask?.name ?? init.name), bare: true };
  }
  if (!fits) say(`Scaled ${init.name} from ${source.width}x${source.height} to ${width}x${height}`);
  const image = fits ? source : await decodeImage(init.bytes, init.name, size);
  if (mask === undefined) return { image, bare: false };
  return { image, open: checkOpen(await readMask(mask, source, size), mask.name), bare: false };
}

/** The mask's pixels as 1 and 0. It has the shape of the image before or after it was scaled. */
async function readMask(
  { name, bytes }: { readonly name: string; readonly bytes: Uint8Array },
  image: { readonly width: number; readonly height: number },
  { width, height }: CanvasSize,
): Promise<Uint8Array> {
  const own = await decodeImage(bytes, name, { channels: 1 });
  const same = (it: { readonly width: number; readonly height: number }) =>
    own.width === it.width && own.height === it.height;
  if (!same(image) && !same({ width, height })) {
    throw new RangeError(
      `Cannot use the mask ${name}: it has ${own.width}x${own.height} pixels, it must have ${image.width}x${image.height} as the image, or ${width}x${height} as the model`,
    );
  }
  const { pixels } = same({ width, height })
    ? own
    : await decodeImage(bytes, name, { width, height, channels: 1 });
  return pixels.map((value) => value >= 128 ? 1 : 0);
}

function checkOpen(open: Uint8Array, name: string): Uint8Array {
  const count = open.reduce((sum, value) => sum + value, 0);
  if (count === 0) {
    throw new RangeError(`Cannot use ${name}: nothing is left to draw; white parts are drawn anew`);
  }
  if (count === open.length) {
    throw new RangeError(`Cannot use ${name}: nothing is kept; black parts are; draw without it`);
  }
  return open;
}

/** The image laid on a canvas, which is open where it does not reach; undefined if nowhere. */
function placeImage(
  source: Bitmap,
  [left, top]: readonly [number, number],
  { width, height, channels }: CanvasSize,
): { readonly image: Bitmap; readonly open: Uint8Array } | undefined {
  const pixels = new Uint8Array(width * height * channels);
  const open = new Uint8Array(width * height).fill(1);
  const [first, end] = [Math.max(0, left), Math.min(width, left + source.width)];
  if (first >= end) return undefined;
  for (let y = Math.max(0, top); y < Math.min(height, top + source.height); y++) {
    const start = ((y - top) * source.width + first - left) * channels;
    const row = source.pixels.subarray(start, start + (end - first) * channels);
    pixels.set(row, (y * width + first) * channels);
    open.fill(0, y * width + first, y * width + end);
  }
  return open.includes(0) ? { image: { pixels, width, height, channels }, open } : undefined;
}

/**
 * Where x is drawn anew, row by row: where any pixel is that it stands for, so that no open pixel shows
 * what lay there. diffusers asks the upper left one alone, which is the same on whole blocks.
 *
 * @param shape Of x, NHWC.
 */
export function openAt(
  { open, image }: Canvas,
  [, height, width]: readonly [number, number, number, number],
): Uint8Array | undefined {
  if (open === undefined || image.height === height) return open;
  const out = new Uint8Array(height * width);
  const [down, across] = [image.height / height, image.width / width];
  open.forEach((value, i) => {
    const [y, x] = [Math.floor(i / image.width), i % image.width];
    out[Math.floor(y / down) * width + Math.floor(x / across)]! |= value;
  });
  return out;
}

/** Drawn images with the kept pixels of the canvas, byte for byte. */
export function keepPixels(drawn: Bitmap, { image, open }: Canvas): Bitmap {
  if (open === undefined) return drawn;
  const { channels } = image;
  const pixels = drawn.pixels.map((value, i) =>
    open[Math.floor(i / channels)] === 1 ? value : image.pixels[i] ?? value
  );
  return { ...drawn, pixels };
}

/**
 * Bytes in the units of a model.
 *
 * @param unit True where its pixels are from 0 to 1, in place of -1 to 1.
 */
export function modelPixels({ pixels }: Bitmap, unit: boolean): Float32Array<ArrayBuffer> {
  return unit ? Float32Array.from(pixels, (byte) => byte / 255) : fromBytes(pixels);
}
