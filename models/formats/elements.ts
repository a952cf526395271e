/**
 * Elements of stored tensors: their types, how many bytes they take, and float32 from and to them.
 *
 * @module
 */
import type { StoredTensor } from "../weights.ts";

/** Bytes of one element, by the names that safetensors has for the types. */
export const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/** Types that weights are written in. */
export type WrittenType = "F32" | "F16" | "BF16";

/** A name from a file as messages may show it: on one line, and not too long. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

/** Elements of a tensor. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Reads `length` bytes of an open file from `offset`.
 *
 * @param path names the file in messages.
 * @throws {Error} Where the file is shorter.
 */
export function readAt(
  file: Deno.FsFile,
  path: string,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  file.seekSync(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const count = file.readSync(bytes.subarray(filled));
    if (count === null) {
      throw new Error(`Cannot read "${path}": the file ends ${length - filled} bytes early`);
    }
    filled += count;
  }
  return bytes;
}

/** Reads `length` bytes of a file from `offset`, see {@linkcode readAt}. */
export function readRange(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  using file = Deno.openSync(path, { read: true });
  return readAt(file, path, offset, length);
}

/** Elements of any type as float32; the bytes start at their buffer's start. */
export function toFloat32({ buffer }: Uint8Array<ArrayBuffer>, dtype: string): Float32Array {
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "F16":
      return new Float32Array(new Float16Array(buffer));
    case "BF16": {
      const halves = new Uint16Array(buffer);
      const words = new Uint32Array(halves.length);
      for (let index = 0; index < halves.length; index++) words[index] = (halves[index] ?? 0) << 16;
      return new Float32Array(words.buffer);
    }
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case "I32":
      return Float32Array.from(new Int32Array(buffer));
    case "I16":
      return Float32Array.from(new Int16Array(buffer));
    case "I8":
      return Float32Array.from(new Int8Array(buffer));
    default:
      return Float32Array.from(new Uint8Array(buffer));
  }
}

/** Single precision to bfloat16, rounded to the nearest, ties to even. */
function toBrain(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? 0;
    const isNaN = (word & 0x7fffffff) > 0x7f800000; // would round to infinity
    out[index] = isNaN ? word >>> 16 | 0x40 : word + 0x7fff + (word >>> 16 & 1) >>> 16;
  }
  return out;
}

/** The bytes of float32 values as another type, rounded to the nearest, ties to even. */
export function fromFloat32(values: Float32Array, dtype: WrittenType): Uint8Array {
  const data = dtype === "F32"
    ? values
    : dtype === "F16"
    ? new Float16Array(values)
    : toBrain(values);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor whose elements lie one after another in a file. */
export function tensorInFile(
  { name, shape, dtype }: Pick<StoredTensor, "name" | "shape" | "dtype">,
  path: string,
  offset: number,
): StoredTensor {
  const length = countOf(shape) * (ELEMENT_BYTES[dtype] ?? 0);
  return {
    name,
    shape,
    dtype,
    file: { path, offset, length },
    read: () => toFloat32(readRange(path, offset, length), dtype),
  };
}
