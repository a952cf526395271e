/**
 * Files of torch's format, made byte by byte for tests.
 *
 * @module
 */
import { crc32 } from "node:zlib";

const encode = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** Bytes of parts: texts stand for their Latin-1 bytes. */
export function bytes(
  ...parts: readonly (string | number | Uint8Array)[]
): Uint8Array<ArrayBuffer> {
  const all = parts.map((part) =>
    typeof part === "string" ? [...encode(part)] : typeof part === "number" ? [part] : [...part]
  );
  return Uint8Array.from(all.flat());
}

/** A number in little-endian bytes. */
export function little(value: number, size: 2 | 4 | 8): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value), true);
  return out.subarray(0, size);
}

/** Operations of a pickle. */
export const text = (value: string) => bytes("X", little(value.length, 4), value);
export const int = (value: number) => bytes("J", little(value, 4));
export const tuple = (...items: readonly Uint8Array[]) => bytes("(", ...items, "t");
export const named = (module: string, name: string) => bytes("c", `${module}\n${name}\n`);
export const dictionary = (...items: readonly Uint8Array[]) => bytes("}(", ...items, "u");

/** A reference to storage "0". */
export function storage(count: number, type = "FloatStorage"): Uint8Array {
  const id = tuple(text("storage"), named("torch", type), text("0"), text("cpu"), int(count));
  return bytes(id, "Q");
}

/** What a tensor of a storage may be made of. */
export interface ViewOf {
  readonly count: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A tensor. */
export function view({ count, offset = 0, shape, strides }: ViewOf): Uint8Array {
  return bytes(
    named("torch._utils", "_rebuild_tensor_v2"),
    tuple(
      storage(count),
      int(offset),
      tuple(...shape.map(int)),
      tuple(...strides.map(int)),
      bytes(0x89),
      bytes(named("collections", "OrderedDict"), ")R"),
    ),
    "R",
  );
}

/** A whole pickle of protocol 2. */
export const pickle = (...operations: readonly Uint8Array[]) => bytes(0x80, 2, ...operations, ".");

/** An entry of an archive; the fields that follow are lies. */
export interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  /** Uncompressed size in the directory. */
  readonly length?: number;
  /** Compressed size in the directory. */
  readonly packed?: number;
  /** Size before the data. */
  readonly local?: number;
  /** Size behind the data, as writers of streams put it there. */
  readonly descriptor?: number;
  /** Where the directory says that it lies. */
  readonly header?: number;
  readonly crc?: number;
}

/** A zip archive. */
export function zip(entries: readonly Entry[], comment = ""): Uint8Array<ArrayBuffer> {
  const bodies: Uint8Array[] = [];
  const list: Uint8Array[] = [];
  let at = 0;
  for (const entry of entries) {
    const { name, data, method = 0, descriptor } = entry;
    const { length = data.length, packed = length, local = length, crc = crc32(data) } = entry;
    const flags = entry.flags ?? (descriptor === undefined ? 0 : 8);
    const said = descriptor === undefined ? local : 0;
    const body = bytes(
      "PK\x03\x04",
      ...[20, flags, method, 0, 0].map((field) => little(field, 2)),
      ...[crc, said, said].map((field) => little(field, 4)),
      ...[name.length, 0].map((field) => little(field, 2)),
      name,
      data,
      ...descriptor === undefined
        ? []
        : ["PK\x07\x08", little(crc, 4), little(descriptor, 4), little(descriptor, 4)],
    );
    list.push(bytes(
      "PK\x01\x02",
      ...[20, 20, flags, method, 0, 0].map((field) => little(field, 2)),
      ...[crc, packed, length].map((field) => little(field, 4)),
      ...[name.length, 0, 0, 0, 0].map((field) => little(field, 2)),
      little(0, 4),
      little(entry.header ?? at, 4),
      name,
    ));
    bodies.push(body);
    at += body.length;
  }
  const directory = bytes(...list);
  return bytes(
    ...bodies,
    directory,
    "PK\x05\x06",
    ...[0, 0, entries.length, entries.length].map((field) => little(field, 2)),
    little(directory.length, 4),
    little(at, 4),
    little(comment.length, 2),
    comment,
  );
}

/** A checkpoint of one storage "0", with a pickle. */
export function checkpoint(
  pickle: Uint8Array,
  data: Uint8Array,
  lies: Partial<Entry> = {},
): Uint8Array<ArrayBuffer> {
  return zip([
    { name: "archive/data.pkl", data: pickle },
    { name: "archive/data/0", data, ...lies },
  ]);
}

/** Calls a function with a file of these bytes. */
export function inFile<T>(bytes: Uint8Array, use: (path: string) => T, name = "model.pt"): T {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${folder}/${name}`, bytes);
    return use(`${folder}/${name}`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
