/**
 * Reads the safetensors files of the fixtures, all of one at once and every number exactly.
 *
 * @module
 */

/** A tensor of a fixture, its numbers as doubles. */
export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
  /** `F32`, `F64` or `I64`. */
  readonly dtype: string;
}

/** A file's tensors by name. */
export interface Fixture {
  /** @throws {Error} Where the file has no tensor of the name. */
  (name: string): FixtureTensor;
  has(name: string): boolean;
}

const READERS: Record<string, [size: number, read: (view: DataView, at: number) => number]> = {
  F32: [4, (view, at) => view.getFloat32(at, true)],
  F64: [8, (view, at) => view.getFloat64(at, true)],
  I64: [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/** The tensors of a file below `tests/fixtures`, as a function from name to tensor. */
export function readFixture(path: string): Fixture {
  const bytes = Deno.readFileSync(new URL(`./fixtures/${path}`, import.meta.url));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header: Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] } | undefined
  > = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const read = (name: string): FixtureTensor => {
    const entry = header[name];
    const reader = READERS[entry?.dtype ?? ""];
    if (entry === undefined || reader === undefined) {
      throw new Error(`Cannot read "${name}" of ${path}: it is not there, or of another type`);
    }
    const [size, readAt] = reader;
    const [from, to] = entry.data_offsets;
    const data = Float64Array.from(
      { length: (to - from) / size },
      (_, i) => readAt(view, start + from + i * size),
    );
    return { shape: entry.shape, data, dtype: entry.dtype };
  };
  return Object.assign(read, { has: (name: string) => name in header });
}
