/**
 * The names of precisions.
 *
 * @module
 */

/** Those below float32. Weights in blocks are called as llama.cpp calls such files. */
export const REDUCED = ["int8", "q8_0", "q4_0"] as const;

/** What a run that is not in float32 is called. */
export type Reduced = (typeof REDUCED)[number];

/** What may be asked for. */
export const PRECISIONS = ["auto", ...REDUCED, "f32"] as const;

/** Bits of a weight, where weights are in blocks. */
export const BITS = { q8_0: 8, q4_0: 4 } as const;

/** Whether it names weights in blocks. */
export function isBlocks(precision: string): precision is keyof typeof BITS {
  return precision in BITS;
}
