import { fromBytes } from "../../images/pixels.ts";
import type { DataOptions, Dataset } from "./dataset.ts";

/** Images that are wholly in memory, before padding. */
export interface Stack {
  /** How messages call the source. */
  readonly name: string;
  /** NHWC; uint8 in [0, 255] or float32 in [-1, 1]. */
  readonly pixels: Uint8Array | Float32Array;
  readonly length: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  /** One label an image; absent without classes. */
  readonly labels?: Int32Array | undefined;
  /** Class names; "0", "1", ... where absent. */
  readonly names?: readonly string[] | undefined;
}

/** Throws where `size` is no possible side of an image. */
export function checkSize(size: number): void {
  if (!Number.isInteger(size) || size < 1 || size > 4096) {
    throw new RangeError(`Cannot use size ${size}: it must be a whole number from 1 to 4096`);
  }
}

/** The index, checked: a silent `undefined` would train on zeros. */
export function checkIndex(index: number, length: number, name: string): number {
  if (Number.isInteger(index) && index >= 0 && index < length) return index;
  throw new RangeError(`Cannot take image ${index} of ${name}: it has images 0 to ${length - 1}`);
}

/** A data set from a stack, padded with black to `size` and repeated to RGB on demand. */
export function fromStack(stack: Stack, { size, channels = stack.channels }: DataOptions): Dataset {
  const { name, pixels, length, height, width } = stack;
  if (size !== undefined) checkSize(size);
  const [rows, columns] = [size ?? height, size ?? width];
  const [top, left] = [(rows - height) / 2, (columns - width) / 2];
  if (top < 0 || left < 0 || !Number.isInteger(top) || !Number.isInteger(left)) {
    throw new RangeError(
      `Cannot use ${name} with size ${size}: its images are ${width}x${height} ` +
        "and can only be padded by an even border",
    );
  }
  if (channels < stack.channels) {
    throw new RangeError(`Cannot use ${name} with 1 channel: its images are in color`);
  }
  const repeat = channels / stack.channels;
  const span = width * stack.channels; // values in a row of the stack
  const classes = stack.labels?.reduce((most, label) => Math.max(most, label + 1), 0) ?? 0;
  if (stack.names !== undefined && classes > stack.names.length) {
    throw new RangeError(`Cannot use ${name}: label ${classes - 1} has no name`);
  }
  return {
    length,
    height: rows,
    width: columns,
    channels,
    labels: stack.names ?? Array.from({ length: classes }, (_, label) => String(label)),
    // deno-lint-ignore require-await
    async batch(indices) {
      const images = new Float32Array(indices.length * rows * columns * channels).fill(-1);
      const labels = new Int32Array(indices.length);
      for (let i = 0; i < indices.length; i++) {
        const index = checkIndex(indices[i]!, length, name);
        labels[i] = stack.labels?.[index] ?? 0;
        for (let y = 0; y < height; y++) {
          const from = (index * height + y) * span;
          const source = pixels.subarray(from, from + span);
          const to = ((i * rows + top + y) * columns + left) * channels;
          if (repeat > 1) {
            const row = source instanceof Float32Array ? source : fromBytes(source);
            for (let x = 0; x < span; x++) {
              images.fill(row[x]!, to + x * repeat, to + (x + 1) * repeat);
            }
          } else if (source instanceof Float32Array) {
            images.set(source, to);
          } else {
            fromBytes(source, images, to);
          }
        }
      }
      return { images, labels };
    },
  };
}
