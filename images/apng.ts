/**
 * Animated PNGs, lossless: https://www.w3.org/TR/png-3/#apng-frame-based-animation.
 *
 * @module
 */
import type { Bitmap } from "./pixels.ts";
import { type Chunk, compress, header, joinChunks, textChunks } from "./png.ts";

/** How an animation plays. */
export interface ApngOptions {
  /** Milliseconds a frame, 1 to 65535. */
  readonly delay: number;
  /** Milliseconds of the last frame; as the others where absent. */
  readonly hold?: number | undefined;
  /** How often it plays; 0, also where absent, is for ever. */
  readonly plays?: number | undefined;
  /**
   * What viewers without animation show; the last frame where absent. It is no part of the
   * animation.
   */
  readonly still?: Bitmap | undefined;
  /** Texts by keyword, as `encodePng()` takes them. */
  readonly text?: Readonly<Record<string, string>> | undefined;
}

/**
 * Encodes frames of one size as an animated PNG.
 *
 * @throws {RangeError} If there is no frame, frames differ in size, or a time is out of range.
 */
export function encodeApng(
  frames: readonly Bitmap[],
  { delay, hold = delay, plays = 0, still = frames.at(-1), text = {} }: ApngOptions,
): Uint8Array<ArrayBuffer> {
  if (still === undefined) throw new RangeError("Cannot animate no frames");
  const { width, height, channels } = still;
  for (const [name, value] of Object.entries({ delay, hold, plays })) {
    const least = name === "plays" ? 0 : 1;
    if (!Number.isInteger(value) || value < least || value > 65535) {
      throw new RangeError(`Cannot animate with ${name}=${value}: it must be ${least} to 65535`);
    }
  }
  const chunks: Chunk[] = [
    header(still),
    { type: "acTL", data: bigEndian(frames.length, plays) },
    ...textChunks(text),
    { type: "IDAT", data: compress(still.pixels, still) },
  ];
  let sequence = 0;
  for (const [index, frame] of frames.entries()) {
    if (frame.width !== width || frame.height !== height || frame.channels !== channels) {
      throw new RangeError(`Cannot animate frame ${index}: it differs in size from the others`);
    }
    const control = new Uint8Array(26); // offsets, disposal and blending stay 0
    control.set(bigEndian(sequence++, width, height));
    const time = index === frames.length - 1 ? hold : delay;
    control.set(bigEndian(time << 16 | 1000), 20); // a fraction of two 16-bit numbers, in seconds
    chunks.push({ type: "fcTL", data: control });
    const packed = compress(frame.pixels, frame);
    const data = new Uint8Array(4 + packed.length);
    data.set(bigEndian(sequence++));
    data.set(packed, 4);
    chunks.push({ type: "fdAT", data });
  }
  return joinChunks([...chunks, { type: "IEND", data: new Uint8Array() }]);
}

function bigEndian(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}
