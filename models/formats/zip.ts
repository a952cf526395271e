/**
 * Zip archives whose entries are stored as they are, such as those of `torch.save`: every length
 * that an archive claims is checked against the file, so that an entry is a range of it.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { quote, readAt } from "./elements.ts";

/** A stored entry: its bytes are a range of the file. */
export interface ZipEntry {
  readonly offset: number;
  readonly length: number;
  /** Of its bytes. */
  readonly crc: number;
}

const [LOCAL, CENTRAL, END, END_64, LOCATOR_64, DESCRIPTOR] = [
  0x04034b50,
  0x02014b50,
  0x06054b50,
  0x06064b50,
  0x07064b50,
  0x08074b50,
];
const LONGEST_DIRECTORY = 100_000_000; // bytes; entries of a checkpoint take about 100 each

/** Reads numbers of a part of a file. */
interface Fields {
  readonly bytes: Uint8Array;
  u16(at: number): number;
  u32(at: number): number;
  u64(at: number): number;
}

function fieldsOf(bytes: Uint8Array): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    bytes,
    u16: (at) => view.getUint16(at, true),
    u32: (at) => view.getUint32(at, true),
    u64: (at) => Number(view.getBigUint64(at, true)),
  };
}

/** An entry of the central directory. */
interface Listed {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly length: number;
  readonly header: number; // where its local header lies
}

/**
 * The entries of an archive by name.
 *
 * @throws {SyntaxError} Where it is damaged; the message goes on from a colon.
 */
export function readZip(path: string): Map<string, ZipEntry> {
  using file = Deno.openSync(path, { read: true });
  const { size } = file.statSync();
  const read = (offset: number, length: number, what: string): Fields => {
    if (offset + length > size) throw new SyntaxError(`its ${what} lies outside the file`);
    return fieldsOf(readAt(file, path, offset, length));
  };
  const { start, length, count } = findDirectory(read, size);
  const entries = new Map<string, ZipEntry>();
  const listed = parseDirectory(read(start, length, "directory"), count);
  let end = 0; // of the entry before
  for (const entry of listed.toSorted((a, b) => a.header - b.header)) {
    const refuse = (reason: string) => new SyntaxError(`entry ${quote(entry.name)} ${reason}`);
    if (entries.has(entry.name)) throw refuse("is there twice");
    if (entry.header < end) throw refuse("overlaps the one before");
    if (entry.header + 30 > start) throw refuse("lies outside the archive");
    const nameBytes = new TextEncoder().encode(entry.name);
    const local = read(entry.header, 30 + nameBytes.length, `entry ${quote(entry.name)}`);
    if (local.u32(0) !== LOCAL) throw refuse("does not lie where it should");
    if (local.u16(26) !== nameBytes.length || decode(local.bytes.subarray(30)) !== entry.name) {
      throw refuse("has another name where it lies");
    }
    const offset = entry.header + 30 + nameBytes.length + local.u16(28);
    end = offset + entry.packed;
    if (end > start) throw refuse("lies outside the archive");
    const reason = checkLocal(entry, local) ?? checkDescriptor(entry, local, () => {
      const rest = read(end, Math.min(24, start - end), "descriptor");
      end = Math.min(start, end + 12);
      return rest;
    });
    if (reason !== undefined) throw refuse(reason);
    entries.set(entry.name, { offset, length: entry.length, crc: entry.crc });
  }
  return entries;
}

/** Where the central directory lies and how many entries it has. */
function findDirectory(
  read: (offset: number, length: number, what: string) => Fields,
  size: number,
): { start: number; length: number; count: number } {
  const tail = Math.min(size, 22 + 0xffff); // with the longest comment
  const base = size - tail;
  const fields = read(base, tail, "end");
  let at = tail - 22;
  while (at >= 0 && !(fields.u32(at) === END && fields.u16(at + 20) === tail - at - 22)) at--;
  if (at < 0) throw new SyntaxError("it has no end; it is not whole");
  let [count, length, start] = [fields.u16(at + 10), fields.u32(at + 12), fields.u32(at + 16)];
  let before = base + at; // where the directory must have ended
  if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) {
    const locator = read(Math.max(0, before - 20), 20, "end");
    if (locator.u32(0) !== LOCATOR_64) throw new SyntaxError("its end names no directory");
    before = locator.u64(8);
    const end = read(before, 56, "end");
    if (end.u32(0) !== END_64) throw new SyntaxError("its end names no directory");
    [count, length, start] = [end.u64(32), end.u64(40), end.u64(48)];
  }
  if (start + length > before || length > LONGEST_DIRECTORY || count * 46 > length) {
    throw new SyntaxError(`its directory of ${count} entries does not fit into the file`);
  }
  return { start, length, count };
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function parseDirectory({ bytes, u16, u32, u64 }: Fields, count: number): Listed[] {
  const listed: Listed[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    const fail = () => new SyntaxError(`entry ${index} of its directory is damaged`);
    if (at + 46 > bytes.length || u32(at) !== CENTRAL) throw fail();
    const name = at + 46;
    const extra = name + u16(at + 28);
    const comment = extra + u16(at + 30);
    const next = comment + u16(at + 32);
    if (next > bytes.length) throw fail();
    // Numbers that do not fit stand in the extra field, in this order (4.5.3 of the format).
    const wide = wideNumbers(extra, comment, u16, u64);
    const field = (at: number) => u32(at) === 0xffffffff ? wide.shift() : u32(at);
    const [length, packed, header] = [field(at + 24), field(at + 20), field(at + 42)];
    if (length === undefined || packed === undefined || header === undefined) throw fail();
    const [flags, method] = [u16(at + 8), u16(at + 10)];
    const crc = u32(at + 16);
    listed.push({
      name: decode(bytes.subarray(name, extra)),
      flags,
      method,
      crc,
      packed,
      length,
      header,
    });
    at = next;
  }
  return listed;
}

/** The numbers of an extra field of type 1. */
function wideNumbers(
  start: number,
  end: number,
  u16: Fields["u16"],
  u64: Fields["u64"],
): number[] {
  for (let at = start; at + 4 <= end;) {
    const [type, from] = [u16(at), at + 4];
    const to = Math.min(end, from + u16(at + 2));
    if (type === 1) {
      return Array.from(
        { length: Math.floor((to - from) / 8) },
        (_, index) => u64(from + 8 * index),
      );
    }
    at = to;
  }
  return [];
}

/** The reason why an entry is not what is read here, or not what its own header says. */
function checkLocal({ flags, method, packed, length }: Listed, local: Fields): string | undefined {
  if ((flags & 1) !== 0) return "is encrypted";
  if (method !== 0) return "is compressed; torch.save stores entries as they are";
  if (packed !== length) return `is stored, but claims ${packed} bytes for ${length}`;
  if (local.u16(8) !== method) return "is packed in two ways";
  if ((local.u16(6) & 8) !== 0) return undefined; // its sizes follow the data
  const sizes = [local.u32(18), local.u32(22)].filter((size) => size !== 0xffffffff);
  const wrong = sizes.find((size) => size !== length);
  return wrong === undefined
    ? undefined
    : `has ${wrong} bytes where it lies, ${length} in the list`;
}

/** The reason why the sizes behind an entry's data are others than those of the directory. */
function checkDescriptor(
  { length, crc }: Listed,
  local: Fields,
  after: () => Fields,
): string | undefined {
  if ((local.u16(6) & 8) === 0) return undefined;
  const { bytes, u32, u64 } = after();
  const at = bytes.length >= 4 && u32(0) === DESCRIPTOR ? 4 : 0;
  const narrow = bytes.length >= at + 12 && u32(at) === crc && u32(at + 4) === length &&
    u32(at + 8) === length;
  const wide = bytes.length >= at + 20 && u32(at) === crc && u64(at + 4) === length &&
    u64(at + 12) === length;
  return narrow || wide
    ? undefined
    : `has other sizes behind its data than the ${length} bytes listed`;
}

/**
 * The bytes of a small entry.
 *
 * @throws {SyntaxError} Where its checksum is wrong, or it has more than `most` bytes.
 */
export function readEntry(path: string, name: string, entry: ZipEntry, most: number): Uint8Array {
  if (entry.length > most) {
    throw new SyntaxError(`entry ${quote(name)} has ${entry.length} bytes, more than ${most}`);
  }
  using file = Deno.openSync(path, { read: true });
  const bytes = readAt(file, path, entry.offset, entry.length);
  if (crc32(bytes) !== entry.crc) {
    throw new SyntaxError(`entry ${quote(name)} has a wrong checksum`);
  }
  return bytes;
}
