/**
 * NumPy's npz archives: a zip of npy arrays.
 * Formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
 *
 * @module
 */
import { zipSync } from "fflate";
import { inflateExactly } from "./_inflate.ts";
import { fromStack } from "./_memory.ts";
import type { DataOptions, Dataset } from "./dataset.ts";

/** An array of an npy file, row-major. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Float32Array | Float64Array | Int32Array | BigInt64Array;
}

/** A file in a zip, as its central directory describes it. */
interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packed: number; // bytes in the archive
  readonly size: number; // bytes when inflated
  readonly offset: number; // of the local header
}

const IMAGES = ["arr_0", "x", "images"];
const LABELS = ["arr_1", "y", "labels"];
/** Bytes a value, by NumPy's name of the type. */
const WIDTHS = new Map([["|u1", 1], ["<u1", 1], ["<f4", 4], ["<f8", 8], ["<i4", 4], ["<i8", 8]]);
/** The day that a zip's dates begin with, so that equal arrays make equal files. */
const EPOCH = "1980-01-01T12:00:00";
/** Arrays are read whole into memory. */
const LARGEST = 2 ** 32;

/**
 * Opens an npz file: images as `arr_0`, `x` or `images` (`[count, height, width]` or
 * `[count, height, width, 1 or 3]`; uint8, or float32 in [-1, 1]), labels as `arr_1`, `y` or
 * `labels`. Keras' names are known too: `x_train` and `y_train`, `x_test` and `y_test`.
 *
 * @throws {SyntaxError} If the file is damaged, or an array has another shape or type.
 * @throws {RangeError} If there is no such split, or the images cannot have the size or channels
 * asked for.
 */
export async function openNpz(path: string, options: DataOptions = {}): Promise<Dataset> {
  using file = await Deno.open(path);
  const entries = await readDirectory(file, path);
  const names = [...entries.keys()];
  const { split = "train" } = options;
  const plain = split === "train" ? [IMAGES, LABELS] : [[], []];
  const imagesName = [`x_${split}`, ...plain[0]!].find((name) => entries.has(name));
  const labelsName = [`y_${split}`, ...plain[1]!].find((name) => entries.has(name));
  if (imagesName === undefined) {
    if (split === "test") {
      throw new RangeError(`Cannot take the test split of ${path}: it has none`);
    }
    throw new SyntaxError(
      `Cannot find images in ${path}: it has ${names.join(", ") || "nothing"}, not ` +
        `${IMAGES.join(", ")} or x_train`,
    );
  }
  const images = await readArray(file, path, entries.get(imagesName)!);
  const shape = images.shape.length === 3 ? [...images.shape, 1] : images.shape;
  const [length = 0, height = 0, width = 0, channels = 0] = shape;
  const where = `${path} (${imagesName})`;
  if (shape.length !== 4 || shape.includes(0) || (channels !== 1 && channels !== 3)) {
    throw new SyntaxError(
      `Cannot use ${where}: its shape is [${images.shape.join(", ")}], ` +
        "not [count, height, width, 1 or 3]",
    );
  }
  const { data } = images;
  if (!(data instanceof Uint8Array || data instanceof Float32Array)) {
    throw new SyntaxError(`Cannot use ${where}: images must be uint8 or float32`);
  }
  if (data instanceof Float32Array) checkFloats(data, where);
  return fromStack({
    name: path,
    pixels: data,
    length,
    height,
    width,
    channels,
    labels: labelsName === undefined
      ? undefined
      : toLabels(await readArray(file, path, entries.get(labelsName)!), length, path, labelsName),
  }, options);
}

/** The names of an archive's arrays, and each array when it is asked for. */
export interface Npz {
  readonly names: readonly string[];
  /** @throws {SyntaxError} If it is damaged or not there. */
  read(name: string): Promise<NpyArray>;
}

/**
 * Opens an npz file without reading its arrays.
 *
 * @throws {SyntaxError} If it is damaged.
 */
export async function readNpz(path: string): Promise<Npz> {
  using file = await Deno.open(path);
  const entries = await readDirectory(file, path);
  return {
    names: [...entries.keys()],
    async read(name) {
      const entry = entries.get(name);
      if (entry === undefined) throw new SyntaxError(`Cannot find ${name} in ${path}`);
      using file = await Deno.open(path);
      return await readArray(file, path, entry);
    },
  };
}

/**
 * Reads an npy file: uint8, float32, float64, int32 or int64, little-endian, row-major.
 *
 * @param name How messages call it.
 * @throws {SyntaxError} If it is of another kind, or has not exactly the bytes of its shape.
 */
export function parseNpy(bytes: Uint8Array<ArrayBuffer>, name: string): NpyArray {
  const fail = (why: string) => new SyntaxError(`Cannot read ${name} as npy: ${why}`);
  const latin = (from: number, to: number) =>
    String.fromCharCode(...bytes.subarray(from, Math.min(to, from + 65536)));
  if (latin(0, 6) !== "\x93NUMPY") throw fail("it does not begin with \\x93NUMPY");
  const version = bytes[6];
  if (version !== 1 && version !== 2 && version !== 3) throw fail(`version ${version} is unknown`);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) throw fail("it ends within its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = start + (version === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (end > bytes.length || end - start > 65536) throw fail("it ends within its header");
  const header = latin(start, end);
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const sides = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || sides === undefined) {
    throw fail("its header lacks descr, fortran_order or shape");
  }
  const shape = sides.split(",").filter((side) => side.trim() !== "").map(Number);
  const count = shape.reduce((product, side) => product * side, 1);
  if (order === "True" && shape.length > 1) {
    throw fail("it is in Fortran order; save it in C order");
  }
  const width = WIDTHS.get(descr);
  if (width === undefined) {
    throw fail(`its type is "${descr}", not one of |u1, <f4, <f8, <i4 and <i8`);
  }
  if (end + count * width !== bytes.length) {
    throw fail(
      `its shape (${shape.join(", ")}) takes ${count * width} bytes, but ${
        bytes.length - end
      } follow`,
    );
  }
  if (width === 1) return { shape, data: bytes.subarray(end) };
  // Typed arrays want their start aligned; NumPy pads its header to 64, others may not.
  const aligned = (bytes.byteOffset + end) % width === 0;
  const buffer = aligned ? bytes.buffer : bytes.slice(end).buffer;
  const offset = aligned ? bytes.byteOffset + end : 0;
  if (descr === "<f4") return { shape, data: new Float32Array(buffer, offset, count) };
  if (descr === "<f8") return { shape, data: new Float64Array(buffer, offset, count) };
  if (descr === "<i4") return { shape, data: new Int32Array(buffer, offset, count) };
  return { shape, data: new BigInt64Array(buffer, offset, count) };
}

function checkFloats(pixels: Float32Array, where: string): void {
  let [low, high] = [Infinity, -Infinity];
  for (const value of pixels) {
    if (Number.isNaN(value)) throw new SyntaxError(`Cannot use ${where}: it holds NaN`);
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low < -1 || high > 1 || low >= 0) {
    throw new SyntaxError(
      `Cannot use ${where}: its pixels are from ${low} to ${high}; ` +
        "save uint8 from 0 to 255, or float32 from -1 to 1",
    );
  }
}

/** Arrays as an npz file, not packed: NumPy maps such files, and features hardly shrink. */
export function encodeNpz(arrays: Readonly<Record<string, NpyArray>>): Uint8Array<ArrayBuffer> {
  const files = Object.entries(arrays).map(([name, array]) => [`${name}.npy`, encodeNpy(array)]);
  return new Uint8Array(zipSync(Object.fromEntries(files), { level: 0, mtime: EPOCH }));
}

function encodeNpy({ shape, data }: NpyArray): Uint8Array {
  const descr = data instanceof Uint8Array
    ? "|u1"
    : data instanceof Float32Array
    ? "<f4"
    : data instanceof Float64Array
    ? "<f8"
    : data instanceof Int32Array
    ? "<i4"
    : "<i8";
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sides}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64; // NumPy aligns the data to 64 bytes
  const bytes = new Uint8Array(length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, length - 10, true);
  bytes.set(new TextEncoder().encode(text.padEnd(length - 11) + "\n"), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), length);
  return bytes;
}

function toLabels(
  { shape, data }: NpyArray,
  length: number,
  path: string,
  name: string,
): Int32Array {
  if (shape[0] !== length || data.length !== length) {
    throw new SyntaxError(
      `Cannot use ${path}: it has ${length} images, but ${name} has shape [${shape.join(", ")}]`,
    );
  }
  return Int32Array.from(data as ArrayLike<number | bigint>, (value) => {
    const label = Number(value);
    if (Number.isInteger(label) && label >= 0 && label < 2 ** 24) return label;
    throw new SyntaxError(`Cannot use ${path}: ${name} holds ${label}, which is no label`);
  });
}

/** One array of the archive; its size is checked against its packed size before it is inflated. */
async function readArray(file: Deno.FsFile, path: string, entry: Entry): Promise<NpyArray> {
  const fail = (why: string) => new SyntaxError(`Cannot read ${entry.name} in ${path}: ${why}`);
  if (entry.size > LARGEST) throw fail(`its ${entry.size} bytes are more than 4 GiB`);
  const local = await readAt(file, entry.offset, 30);
  if (local === undefined || u32(local, 0) !== 0x04034b50) throw fail("it has no local header");
  const start = entry.offset + 30 + u16(local, 26) + u16(local, 28);
  const packed = await readAt(file, start, entry.packed);
  if (packed === undefined) throw fail("the file ends before it does");
  const name = `${path} (${entry.name})`;
  if (entry.method === 0) {
    if (entry.packed !== entry.size) throw fail("it is stored, but its two sizes differ");
    return parseNpy(packed, name);
  }
  if (entry.method !== 8) throw fail(`compression method ${entry.method} is unknown`);
  try {
    return parseNpy(await inflateExactly(packed, "deflate-raw", entry.size), name);
  } catch (error) {
    if (error instanceof RangeError) throw fail(error.message);
    throw error;
  }
}

/** The zip's central directory: its npy files by name without the ending. */
async function readDirectory(file: Deno.FsFile, path: string): Promise<Map<string, Entry>> {
  const fail = (why: string) => new SyntaxError(`Cannot read ${path} as npz: ${why}`);
  const { size } = await file.stat();
  const tail = await readAt(file, Math.max(0, size - 65557), Math.min(size, 65557)); // 22 + 65535
  if (tail === undefined) throw fail("it shrank while it was read");
  let at = tail.length - 22;
  while (at >= 0 && u32(tail, at) !== 0x06054b50) at--;
  if (at < 0) throw fail("it has no zip directory, so it is cut short or no zip");
  const [count, length, offset] = [u16(tail, at + 10), u32(tail, at + 12), u32(tail, at + 16)];
  if (offset === 0xffffffff) throw fail("archives over 4 GiB are not supported");
  const directory = offset + length > size ? undefined : await readAt(file, offset, length);
  if (directory === undefined) throw fail("its zip directory lies outside of it");
  const entries = new Map<string, Entry>();
  let cursor = 0;
  for (let i = 0; i < count; i++) {
    if (cursor + 46 > length || u32(directory, cursor) !== 0x02014b50) {
      throw fail("its zip directory is damaged");
    }
    const end = cursor + 46 + u16(directory, cursor + 28);
    if (end > length) throw fail("its zip directory is damaged");
    const full = new TextDecoder().decode(directory.subarray(cursor + 46, end));
    const name = full.replace(/\.npy$/, "");
    const [packed, inflated] = [u32(directory, cursor + 20), u32(directory, cursor + 24)];
    const start = u32(directory, cursor + 42);
    if (u16(directory, cursor + 8) & 1) throw fail(`${full} is encrypted`);
    if (start + 30 + packed > size) throw fail(`${full} lies outside of it`);
    const method = u16(directory, cursor + 10);
    if (full !== name) entries.set(name, { name, method, packed, size: inflated, offset: start });
    cursor = end + u16(directory, cursor + 30) + u16(directory, cursor + 32);
  }
  return entries;
}

/** Exactly `length` bytes from `offset`; undefined where the file ends before. */
async function readAt(
  file: Deno.FsFile,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) return undefined;
    filled += count;
  }
  return bytes;
}

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | bytes[at + 1]! << 8;
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | u16(bytes, at + 2) << 16) >>> 0;
}
