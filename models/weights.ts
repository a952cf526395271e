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
}

/** A checkpoint's tensors by name. */
export type Weights = ReadonlyMap<string, StoredTensor>;
