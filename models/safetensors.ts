/**
 * The safetensors format: eight bytes with the length of a JSON header, the header, the data.
 * Files are read by ranges, never whole, and every field of the header is checked before use.
 *
 * @module
 */
import {
  countOf,
  ELEMENT_BYTES,
  fromFloat32,
  quote,
  readRange,
  tensorInFile,
  type WrittenType,
} from "./formats/elements.ts";
import type { StoredTensor, Weights } from "./weights.ts";

/** The reference implementation's own limit on the header. */
const LONGEST_HEADER = 100_000_000;

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
  if (typeof dtype !== "string" || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
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
  const size = countOf(shape) * (ELEMENT_BYTES[dtype] ?? 0);
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
    if (start < covered) return `tensor ${quote(name)}: its data overlaps that of another`;
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
    if (typeof entry === "string") throw refuse(`tensor ${quote(name)}: ${entry}`);
    entries.set(name, entry);
  }
  const hole = findHole(entries, dataLength);
  if (hole !== undefined) throw refuse(hole);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, start }] of entries) {
    tensors.set(name, tensorInFile({ name, shape, dtype }, path, 8 + headerLength + start));
  }
  return { tensors, metadata };
}

/** A float32 tensor to be written. */
export interface NewTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A tensor to be written: its values are asked for when its turn comes, and not kept. */
export type WritableTensor = Pick<StoredTensor, "name" | "shape" | "read">;

/** A safetensors file with these tensors in one type, part by part. */
export function* safetensorsParts(
  tensors: readonly WritableTensor[],
  dtype: WrittenType = "F32",
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  let length = 0;
  for (const { name, shape } of tensors) {
    const end = length + countOf(shape) * (ELEMENT_BYTES[dtype] ?? 0);
    header[name] = { dtype, shape, data_offsets: [length, end] };
    length = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  // Spaces align the data to eight bytes, as the reference implementation does.
  const head = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(text, 8);
  yield head;
  for (const tensor of tensors) yield fromFloat32(tensor.read(), dtype);
}

/** The bytes of a safetensors file with these tensors. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, NewTensor>,
  dtype: WrittenType = "F32",
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const all = [...tensors].map(([name, { shape, values }]) => ({
    name,
    shape,
    read: () => values,
  }));
  const parts = [...safetensorsParts(all, dtype, metadata)];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
