/**
 * How near two images are to each other.
 *
 * @module
 */
import type { Bitmap } from "./pixels.ts";

/** The peak signal-to-noise ratio in decibels: `10 log10(255² / mean squared difference)`. */
export function psnr(a: Bitmap, b: Bitmap): number {
  if (a.pixels.length !== b.pixels.length) {
    throw new RangeError("Cannot compare images of different sizes");
  }
  const sum = a.pixels.reduce((sum, value, i) => sum + (value - (b.pixels[i] ?? 0)) ** 2, 0);
  return 10 * Math.log10(255 ** 2 * a.pixels.length / sum);
}
