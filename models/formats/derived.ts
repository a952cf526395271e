/**
 * Tensors that are made of stored ones while they are read: under another name, in another shape,
 * some of the rows, or turned.
 *
 * @module
 */
import type { StoredTensor } from "../weights.ts";
import { countOf, ELEMENT_BYTES } from "./elements.ts";

/** The same elements under another name, in another shape where one is given. */
export function renamed(
  tensor: StoredTensor,
  name: string,
  shape: readonly number[] = tensor.shape,
): StoredTensor {
  return { ...tensor, name, shape };
}

/** Rows `start` to before `start + count` of the first axis. */
export function rows(tensor: StoredTensor, start: number, count: number): StoredTensor {
  const { shape: [, ...rest], dtype, file, read } = tensor;
  const size = countOf(rest);
  const bytes = size * (ELEMENT_BYTES[dtype] ?? 0);
  return {
    name: tensor.name,
    shape: [count, ...rest],
    dtype,
    read: () => read().slice(start * size, (start + count) * size),
    ...file && {
      file: { ...file, offset: file.offset + start * bytes, length: count * bytes },
    },
  };
}

/** The rows of the first axis in this order. */
export function pickRows(tensor: StoredTensor, order: readonly number[]): StoredTensor {
  const { name, shape: [, ...rest], dtype, read } = tensor;
  const size = countOf(rest);
  return {
    name,
    shape: [order.length, ...rest],
    dtype,
    read() {
      const values = read();
      const out = new Float32Array(order.length * size);
      for (const [index, row] of order.entries()) {
        out.set(values.subarray(row * size, (row + 1) * size), index * size);
      }
      return out;
    },
  };
}
