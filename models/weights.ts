/**
 * Weights as they lie in a checkpoint: named tensors that are read when they are needed.
 *
 * @module
 */

/** Element types that a network's weights may have. */
export const FLOAT_TYPES = ["F32", "F16", "BF16", "F64"] as const;

/** A tensor in a checkpoint, in its layout (PyTorch's), not yet in memory. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  /** Its values as float32, row by row; read anew at each call. */
  read(): Float32Array;
  /** Where the bytes lie in a file, so that an engine can map them instead of copying. */
  readonly file?: { readonly path: string; readonly offset: number; readonly length: number };
  /** The same values as an engine may hold them in less memory. */
  readonly blocks?: BlockSource;
}

/** A tensor in blocks, not yet in memory. */
export interface BlockSource {
  /** Of each value. */
  readonly bits: 4 | 8;
  read(): Blocks;
}

/** Values that are whole multiples of steps, in blocks that have a step each. */
export interface Blocks {
  /** Signed numbers; of four bits two in a byte, the first one low. */
  readonly bytes: Uint8Array;
  readonly steps: Float32Array;
}

/** A checkpoint's tensors by name. */
export type Weights = ReadonlyMap<string, StoredTensor>;
