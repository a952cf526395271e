/**
 * Images from files, for networks.
 *
 * @module
 */
import { loadSharp } from "./_sharp.ts";
import { type Bitmap, fromBytes } from "./pixels.ts";
import { decodePng, SIGNATURE } from "./png.ts";

/** The size and channels wanted; the image's own where absent. */
export interface Wanted {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** 1 grey, 3 RGB. */
  readonly channels?: 1 | 3 | undefined;
}

/** An image as networks take it. */
export interface LoadedImage {
  /** NHWC, `[1, height, width, channels]`, float32 in [-1, 1]. */
  readonly pixels: Float32Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/**
 * Reads an image of any format that sharp knows; a plain PNG that already fits takes no sharp.
 *
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {SyntaxError} If it cannot be decoded.
 */
export async function loadImage(path: string, wanted: Wanted = {}): Promise<LoadedImage> {
  const { pixels, ...sides } = await decodeImage(await readImage(path), path, wanted);
  return { ...sides, pixels: fromBytes(pixels) };
}

/**
 * Decodes an image, turned upright, laid on white where it is transparent, cropped to the shape
 * wanted around its center and resized.
 *
 * @param name How messages call the file.
 * @throws {SyntaxError} If it cannot be decoded.
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  { width, height, channels }: Wanted = {},
): Promise<Bitmap> {
  if (SIGNATURE.every((byte, i) => byte === bytes[i])) {
    const png = decodePng(bytes, name);
    const fits = png !== undefined && (width ?? png.width) === png.width &&
      (height ?? png.height) === png.height && (channels ?? png.channels) >= png.channels;
    if (fits) return repeat(png, channels ?? png.channels);
  }
  const sharp = await loadSharp();
  try {
    const source = sharp(bytes, { failOn: "error" });
    const wantedChannels = channels ?? ((await source.metadata()).channels < 3 ? 1 : 3);
    const upright = source.autoOrient().flatten({ background: "#fff" });
    const sized = width === undefined && height === undefined
      ? upright
      : upright.resize(width ?? null, height ?? null, { fit: "cover" });
    const { data, info } = await sized.toColourspace(wantedChannels === 1 ? "b-w" : "srgb").raw()
      .toBuffer({ resolveWithObject: true });
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return { pixels, width: info.width, height: info.height, channels: wantedChannels };
  } catch (error) {
    throw new SyntaxError(`Cannot decode ${name}: ${(error as Error).message.split("\n")[0]}`);
  }
}

async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(`Cannot find the image ${path}`);
  }
}

/** Grey as RGB; other images as they are. */
function repeat({ pixels, width, height, channels }: Bitmap, wanted: 1 | 3): Bitmap {
  if (channels === wanted) return { pixels, width, height, channels };
  const repeated = new Uint8Array(pixels.length * wanted);
  pixels.forEach((value, i) => repeated.fill(value, i * wanted, (i + 1) * wanted));
  return { pixels: repeated, width, height, channels: wanted };
}
