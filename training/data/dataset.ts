/**
 * What every source of training images looks like to the training loop.
 *
 * @module
 */

/** Images with labels, all of one size, addressed by index. */
export interface Dataset {
  /** The number of images, at least 1. */
  readonly length: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  /** Class names by label; empty where the data has no classes. */
  readonly labels: readonly string[];
  /**
   * Pixels in [-1, 1] as NHWC float32 `[indices.length, height, width, channels]`, and labels
   * (0 everywhere in data without classes). Asynchronous because folders decode lazily.
   *
   * @throws {RangeError} If an index is not a whole number from 0 to length - 1.
   */
  batch(indices: readonly number[] | Int32Array): Promise<Batch>;
}

/** What {@linkcode Dataset.batch} returns. */
export interface Batch {
  /** NHWC float32 in [-1, 1]. */
  readonly images: Float32Array<ArrayBuffer>;
  /** One label an image. */
  readonly labels: Int32Array<ArrayBuffer>;
}

/** What the user may ask of a source. */
export interface DataOptions {
  /** Which part of the data; "train" where absent. */
  readonly split?: "train" | "test" | undefined;
  /** Height and width in pixels; the data's own where absent. */
  readonly size?: number | undefined;
  /** 1 grey, 3 RGB; the data's own where absent. */
  readonly channels?: 1 | 3 | undefined;
}
