/**
 * The safetensors format: eight bytes with the length of a JSON header, the header, the data.
 * Files are read by ranges, never whole, and every field of the header is checked before use.
 *
 * @module
 */
import type { StoredTensor, Weights } from "./weights.ts";

/** Bytes of one element. */
const BYTES: Readonly<Record<string, number>> = {
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

/** The reference implementation's own limit on the header. */
const LONGEST_HEADER = 100_000_000;

/** Reads `length` bytes of a file from `offset`, or throws where it is shorter. */
export function readRange(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  using file = Deno.openSync(path, { read: true });
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

function toFloat32(bytes: Uint8Array<ArrayBuffer>, dtype: string): Float32Array {
  const { buffer } = bytes;
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "F16":
      return fromHalf(new Uint16Array(buffer));
    case "BF16": {
      const bits = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      return new Float32Array(bits.buffer);
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

/** IEEE half precision to single, subnormals and infinities included. */
function fromHalf(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  for (let index = 0; index < halves.length; index++) {
    const half = halves[index] ?? 0;
    const [exponent, fraction] = [half >> 10 & 31, half & 1023];
    const size = exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
      ? (fraction === 0 ? Infinity : NaN)
      : (1024 + fraction) * 2 ** (exponent - 25);
    out[index] = half & 0x8000 ? -size : size;
  }
  return out;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

/** The checked entry of one tensor, or the reason why it is none. */
function parseEntry(value: unknown, dataLength: number): Entry | string {
  if (typeof value !== "object" || value === null) return "its entry is not an object";
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(BYTES, dtype)) {
    return `its dtype ${JSON.stringify(dtype)} is not known`;
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) return "its shape is not a list of sizes";
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return "its data_offsets are not two numbers";
  }
  const [start, end] = offsets as [number, number];
  if (end < start || end > dataLength) {
    return `its data (bytes ${start} to ${end}) lies outside the ${dataLength} bytes that the file has`;
  }
  const size = shape.reduce((product: number, size: number) => product * size, BYTES[dtype] ?? 0);
  if (size !== end - start) {
    return `shape [${shape.join(", ")}] of ${dtype} needs ${size} bytes, its entry has ${
      end - start
    }`;
  }
  return { dtype, shape, start, end };
}

/** The reason why the entries do not cover the data without overlaps and holes, if any. */
function findHole(entries: ReadonlyMap<string, Entry>, dataLength: number): string | undefined {
  let covered = 0;
  const sorted = [...entries].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  for (const [name, { start, end }] of sorted) {
    if (start < covered) return `tensor "${name}": its data overlaps that of another`;
    if (start > covered) return `bytes ${covered} to ${start} belong to no tensor`;
    covered = end;
  }
  if (covered === dataLength) return undefined;
  return `${dataLength - covered} bytes after the last tensor belong to none`;
}

/** The header's `__metadata__` and the tensors of a file. */
export interface SafetensorsFile {
  readonly tensors: Weights;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Opens a safetensors file. Only the header is read; a tensor's `read()` reads its own range.
 *
 * @throws {Deno.errors.NotFound} Where there is no such file.
 * @throws {Error} Where the file is truncated or its header is not valid.
 */
export function readSafetensors(path: string): SafetensorsFile {
  const refuse = (reason: string) => new Error(`Cannot read "${path}" as safetensors: ${reason}`);
  const { size } = Deno.statSync(path);
  if (size < 8) throw refuse(`it has ${size} bytes, fewer than the 8 of its length field`);
  const lengthField = new DataView(readRange(path, 0, 8).buffer).getBigUint64(0, true);
  if (lengthField > BigInt(size - 8)) {
    throw refuse(
      `its header claims ${lengthField} bytes, the file has ${size - 8} after the length field`,
    );
  }
  if (lengthField > BigInt(LONGEST_HEADER)) {
    throw refuse(`its header has ${lengthField} bytes, more than ${LONGEST_HEADER}`);
  }
  const headerLength = Number(lengthField);
  const dataLength = size - 8 - headerLength;
  let header: unknown;
  try {
    header = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(readRange(path, 8, headerLength)),
    );
  } catch (cause) {
    throw new Error(`Cannot read "${path}" as safetensors: its header is not JSON`, { cause });
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw refuse("its header is not an object");
  }
  const entries = new Map<string, Entry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      metadata = Object.fromEntries(
        Object.entries(value ?? {}).map(([key, text]) => [key, String(text)]),
      );
      continue;
    }
    const entry = parseEntry(value, dataLength);
    if (typeof entry === "string") throw refuse(`tensor "${name}": ${entry}`);
    entries.set(name, entry);
  }
  const hole = findHole(entries, dataLength);
  if (hole !== undefined) throw refuse(hole);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, start, end }] of entries) {
    const file = { path, offset: 8 + headerLength + start, length: end - start };
    tensors.set(name, {
      name,
      shape,
      dtype,
      file,
      read: () => toFloat32(readRange(path, file.offset, file.length), dtype),
    });
  }
  return { tensors, metadata };
}

/** A float32 tensor to be written. */
export interface NewTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Single precision to half, rounded to the nearest, ties to even. */
function toHalf(values: Float32Array): Uint16Array {
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  return Uint16Array.from(values, (value) => {
    single[0] = value;
    const word = bits[0] ?? 0;
    const sign = word >>> 16 & 0x8000;
    const size = Math.abs(value);
    if (Number.isNaN(value)) return sign | 0x7e00;
    if (size >= 65520) return sign | 0x7c00;
    const exponent = Math.max(Math.floor(Math.log2(size || 1e-30)), -14);
    const scaled = size / 2 ** (exponent - 10); // an integer below 2048 after rounding
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
    // A subnormal has no implicit bit; a carry into it makes the next exponent by itself.
    return sign | (rounded < 1024 ? rounded : (exponent + 15 - 1 << 10) + rounded);
  });
}

/** The bytes of a safetensors file with these tensors as `F32` or `F16`. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, NewTensor>,
  dtype: "F32" | "F16" = "F32",
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const bytes = dtype === "F32" ? 4 : 2;
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  let length = 0;
  for (const [name, { shape, values }] of tensors) {
    const end = length + values.length * bytes;
    header[name] = { dtype, shape, data_offsets: [length, end] };
    length = end;
  }
  const text = JSON.stringify(header);
  // Spaces align the data to eight bytes, as the reference implementation does.
  const encoded = new TextEncoder().encode(text);
  const headerLength = Math.ceil(encoded.length / 8) * 8;
  const file = new Uint8Array(8 + headerLength + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, 8, 8 + headerLength);
  file.set(encoded, 8);
  let offset = 8 + headerLength;
  for (const { values } of tensors.values()) {
    const data = dtype === "F32" ? values : toHalf(values);
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return file;
}
