/**
 * Between the network's floats and the bytes of files.
 *
 * @module
 */

/** One image of bytes, row by row, the channels of a pixel together. */
export interface Bitmap {
  /** `height * width * channels` bytes. */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 RGB. */
  readonly channels: 1 | 3;
}

/** `x / 127.5 - 1` for every byte, rounded to float32 once. */
const UNIT = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1);

/**
 * Images as bytes, by the rule and the float32 arithmetic of diffusers, so to the bit as there:
 * `(x / 2 + 0.5).clamp(0, 1)`, then `(images * 255).round()`, halves to even.
 *
 * @param images NHWC, `[count, height, width, channels]`, nominally in [-1, 1].
 * @param shape The four sides.
 * @returns One bitmap an image.
 * @throws {RangeError} If the shape does not fit, or an image holds NaN.
 */
export function toBitmaps(images: Float32Array, shape: readonly number[]): Bitmap[] {
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  const span = height * width * channels;
  if (shape.length !== 4 || count * span !== images.length || (channels !== 1 && channels !== 3)) {
    throw new RangeError(
      `Cannot use ${images.length} values as images of shape [${shape.join(", ")}]`,
    );
  }
  return Array.from({ length: count }, (_, index) => {
    const pixels = new Uint8Array(span);
    for (let i = 0; i < span; i++) {
      const value = images[index * span + i]!;
      if (Number.isNaN(value)) {
        throw new RangeError(`Cannot show the images: image ${index} holds NaN`);
      }
      const share = Math.fround(value * 0.5 + 0.5); // one rounding: times 0.5 is exact
      const exact = Math.fround(Math.min(1, Math.max(0, share)) * 255);
      const near = Math.round(exact);
      pixels[i] = near - exact === 0.5 && near % 2 === 1 ? near - 1 : near;
    }
    return { pixels, width, height, channels };
  });
}

/**
 * Bytes as floats in [-1, 1]: `x / 127.5 - 1`.
 *
 * @param target Where to write; a new array where absent.
 * @param offset The first index to write.
 */
export function fromBytes(
  bytes: Uint8Array,
  target: Float32Array<ArrayBuffer> = new Float32Array(bytes.length),
  offset = 0,
): Float32Array<ArrayBuffer> {
  for (let i = 0; i < bytes.length; i++) target[offset + i] = UNIT[bytes[i]!]!;
  return target;
}
