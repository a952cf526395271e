/**
 * The trajectory of a cell: a few small pictures of its way from noise, kept as a strip of film.
 *
 * @module
 */
import type { Bitmap } from "../images/pixels.ts";
import { makeSheet } from "../images/sheet.ts";

/** Pictures of a film at most, and their width in pixels at most. */
const [FRAMES, EDGE] = [12, 256] as const;

/** The steps, from 1, after which a film has a picture; the last one is among them. */
export function framesOf(steps: number): number[] {
  const count = Math.min(FRAMES, steps);
  return Array.from({ length: count }, (_, i) => Math.round((i + 1) * steps / count));
}

/** A picture as small as films have them: the mean of squares of pixels. */
export function shrink(picture: Bitmap): Bitmap {
  const factor = Math.ceil(picture.width / EDGE);
  if (factor === 1) return picture;
  const { channels } = picture;
  const [width, height] = [picture.width, picture.height].map((side) => Math.floor(side / factor));
  const small = { width: width ?? 0, height: height ?? 0, channels };
  const pixels = new Uint8Array(small.width * small.height * channels);
  for (let at = 0; at < pixels.length; at++) {
    const [channel, pixel] = [at % channels, Math.floor(at / channels)];
    const left = pixel % small.width * factor;
    const top = Math.floor(pixel / small.width) * factor;
    let sum = 0;
    for (let y = top; y < top + factor; y++) {
      for (let x = left; x < left + factor; x++) {
        sum += picture.pixels[(y * picture.width + x) * channels + channel] ?? 0;
      }
    }
    pixels[at] = Math.round(sum / factor ** 2);
  }
  return { ...small, pixels };
}

/** The pictures side by side. */
export function stripOf(film: readonly Bitmap[]): Bitmap {
  return makeSheet(film, { columns: film.length, padding: 0 });
}

/** The pictures that stand side by side in a strip. */
export function cutStrip(strip: Bitmap, count: number): Bitmap[] {
  const { height, channels } = strip;
  const width = strip.width / count;
  return Array.from({ length: count }, (_, frame) => {
    const pixels = new Uint8Array(width * height * channels);
    for (let y = 0; y < height; y++) {
      const start = (y * strip.width + frame * width) * channels;
      pixels.set(strip.pixels.subarray(start, start + width * channels), y * width * channels);
    }
    return { pixels, width, height, channels };
  });
}

/** Some pictures of a film, the last one among them. */
export function thin(film: readonly Bitmap[], most: number): readonly Bitmap[] {
  const count = Math.min(film.length, Math.max(1, most));
  return Array.from({ length: count }, (_, i) => Math.ceil((i + 1) * film.length / count) - 1)
    .flatMap((index) => film[index] ?? []);
}
