/**
 * Numbers as bytes, and back.
 *
 * @module
 */
import type { Range } from "./scales.ts";

/** `value = scale * (byte - zero)`. */
export interface Affine {
  readonly scale: number;
  readonly zero: number;
}

const TINY = 1e-12; // keeps scales of layers that are always zero above it

/** The bytes 0 to 255 over a range, which is widened to hold zero: paddings are exact. */
export function affineOf([low, high]: Range): Affine {
  const [from, to] = [Math.min(0, low), Math.max(0, high)];
  const scale = Math.fround(Math.max((to - from) / 255, TINY));
  return { scale, zero: Math.min(255, Math.max(0, Math.round(-from / scale))) };
}

/** The step that takes a magnitude to 127: bytes from 1 to 255 around a zero of {@linkcode MIDDLE}. */
export function stepOf(magnitude: number): number {
  return Math.fround(Math.max(magnitude / 127, TINY));
}

/** The byte that stands for zero in a symmetric range. */
export const MIDDLE = 128;

/** Weights as signed bytes, with a step for each row: an output channel. */
export interface ByteWeights {
  readonly bytes: Int8Array;
  readonly steps: Float32Array;
}

/**
 * Weights as the nearest bytes from -127 to 127, by rows.
 *
 * @param values Row by row
 */
export function byteWeights(values: Float32Array, rows: number): ByteWeights {
  const size = values.length / rows;
  const bytes = new Int8Array(values.length);
  const steps = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const own = values.subarray(row * size, (row + 1) * size);
    let most = 0;
    for (const value of own) {
      if (value > most) most = value;
      else if (-value > most) most = -value;
    }
    const step = stepOf(most);
    steps[row] = step;
    const [pace, half] = [1 / step, 128.5]; // truncation above zero is faster than rounding
    let at = row * size;
    for (const value of own) bytes[at++] = ((value * pace + half) | 0) - 128;
  }
  return { bytes, steps };
}
