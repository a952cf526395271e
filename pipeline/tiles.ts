/**
 * Latents decoded tile by tile, so that the memory of a large image is that of a tile. Tiles overlap
 * and fade into each other, since each is normalized by itself.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Images } from "../plugin.ts";
import type { Pixels } from "./codec.ts";

/** How latents are cut. */
export interface Tiling {
  /** Pixels along the side of one of the latents. */
  readonly factor: number;
  /** The edge of a tile, in latents. */
  readonly edge: number;
}

/** The share of a tile that lies under the next one. */
const OVERLAP = 0.25;

/**
 * Where tiles begin along an axis, so that they are of one size and the last ends with the axis.
 *
 * @returns One 0 where one tile covers all.
 */
export function tileStarts(length: number, edge: number): number[] {
  if (length <= edge) return [0];
  const stride = Math.max(1, Math.floor(edge * (1 - OVERLAP)));
  const count = Math.ceil((length - edge) / stride) + 1;
  return Array.from({ length: count }, (_, i) => Math.min(i * stride, length - edge));
}

/** How much a tile counts along an axis: it rises from its ends over the overlap, in pixels. */
function weightsOf(length: number, ramp: number): Float32Array {
  return Float32Array.from(
    { length },
    (_, i) => Math.min(1, (i + 0.5) / ramp, (length - i - 0.5) / ramp),
  );
}

/**
 * The pixels of one image.
 *
 * @param latents `[1, height, width, channels]`.
 * @param decode gives the pixels of one tile.
 */
export async function decodeTiles(
  latents: Images,
  decode: (tile: Images) => Promise<Pixels>,
  { factor, edge }: Tiling,
): Promise<Pixels> {
  const [, rows, columns, depth] = latents.shape;
  const [height, width] = [rows * factor, columns * factor];
  const tall = Math.min(edge, rows);
  const wide = Math.min(edge, columns);
  const ramp = Math.max(1, edge * OVERLAP * factor);
  const [down, across] = [weightsOf(tall * factor, ramp), weightsOf(wide * factor, ramp)];
  let channels = 0;
  let sum = new Float32Array();
  const total = new Float32Array(height * width);
  for (const top of tileStarts(rows, tall)) {
    for (const left of tileStarts(columns, wide)) {
      const tile: Images = tf.slice(latents, [0, top, left, 0], [1, tall, wide, depth]);
      const { data, shape } = await decode(tile);
      tile.dispose();
      channels = shape[3] ?? 0;
      if (sum.length === 0) sum = new Float32Array(height * width * channels);
      for (let y = 0; y < tall * factor; y++) {
        for (let x = 0; x < wide * factor; x++) {
          const weight = down[y]! * across[x]!;
          const to = (top * factor + y) * width + left * factor + x;
          const from = y * wide * factor + x;
          total[to]! += weight;
          for (let c = 0; c < channels; c++) {
            sum[to * channels + c]! += weight * data[from * channels + c]!;
          }
        }
      }
    }
  }
  for (let i = 0; i < sum.length; i++) sum[i]! /= total[Math.floor(i / channels)]!;
  return { shape: [1, height, width, channels], data: sum };
}
