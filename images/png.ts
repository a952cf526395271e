/**
 * PNG files with text. Written over zlib alone, because the packages at hand write text in Latin-1
 * only and neither filter rows nor bound what they inflate.
 * Section numbers are of https://www.w3.org/TR/png-3.
 *
 * @module
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";
import type { Bitmap } from "./pixels.ts";

/** A chunk of a PNG file, its length and checksum already checked. */
export interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** The eight bytes that begin a PNG file. */
export const SIGNATURE: Uint8Array = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

/** The longest text that a reader inflates, so that a small file cannot fill the memory. */
const LONGEST_TEXT = 16 * 2 ** 20;
/** The largest image that is decoded, in pixels. */
const LARGEST = 2 ** 28;

/**
 * Encodes an image with texts by keyword: `tEXt` where Latin-1 holds the text, else `iTXt`. They
 * come before the pixels, where readers find them without decoding.
 *
 * @param pixels `height * width * channels` bytes.
 * @throws {RangeError} If the bytes do not fit the sides, or a keyword is not 1 to 79 letters.
 */
export function encodePng(
  pixels: Uint8Array | Uint8ClampedArray,
  { width, height, channels }: Omit<Bitmap, "pixels">,
  text: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  return joinChunks([
    header({ width, height, channels }),
    ...textChunks(text),
    { type: "IDAT", data: compress(pixels, { width, height, channels }) },
    { type: "IEND", data: new Uint8Array() },
  ]);
}

/**
 * The texts of a PNG file by keyword (`tEXt`, `zTXt`, `iTXt`), without decoding its pixels. Where
 * a keyword occurs twice, the first one counts.
 *
 * @param name How messages call the file.
 * @throws {SyntaxError} If the file is no PNG, cut short or damaged.
 */
export function readPngText(bytes: Uint8Array, name = "the file"): Record<string, string> {
  return collectText(readChunks(bytes, name), name);
}

/**
 * Decodes a PNG file of 8 bits a channel that is not interlaced; what is transparent is laid on
 * white.
 *
 * @param name How messages call the file.
 * @returns The image with its texts; undefined where the file is sound but of another kind (16
 * bits, interlaced, with a color profile, ...), so that another decoder must read it.
 * @throws {SyntaxError} If the file is no PNG, cut short or damaged.
 */
export function decodePng(
  bytes: Uint8Array,
  name = "the file",
): Bitmap & { readonly text: Record<string, string> } | undefined {
  const fail = (why: string) => new SyntaxError(`Cannot read ${name} as PNG: ${why}`);
  const chunks = readChunks(bytes, name);
  const only = (type: string) => chunks.find((chunk) => chunk.type === type)?.data;
  const { width, height, depth, color, interlace } = readHeader(chunks[0]!.data, name);
  const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[color];
  const transparent = only("tRNS");
  if (samples === undefined || depth !== 8 || interlace !== 0 || only("iCCP")) return undefined;
  if (transparent && color !== 3) return undefined;
  if (width * height > LARGEST) throw fail(`${width}x${height} is too large`);
  const row = width * samples;
  let data: Uint8Array;
  try {
    const parts = chunks.filter(({ type }) => type === "IDAT").map((chunk) => chunk.data);
    data = inflateSync(concat(parts), { maxOutputLength: height * (row + 1) });
  } catch (error) {
    throw fail(`its pixels are damaged (${(error as Error).message})`);
  }
  if (data.length !== height * (row + 1)) throw fail("it has too few pixels");
  const raw = unfilter(data, height, row, samples);
  if (raw === undefined) throw fail("it uses an unknown filter");
  const text = collectText(chunks, name);
  if (color === 0 || color === 2) {
    return { pixels: raw, width, height, channels: color === 0 ? 1 : 3, text };
  }
  const channels = color === 4 ? 1 : 3;
  const palette = only("PLTE") ?? new Uint8Array();
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const index = raw[i]!;
    if (color === 3 && 3 * index + 2 >= palette.length) throw fail("its palette is too short");
    const alpha = color === 3 ? transparent?.[index] ?? 255 : raw[(i + 1) * samples - 1]!;
    for (let c = 0; c < channels; c++) {
      const value = color === 3 ? palette[3 * index + c]! : raw[i * samples + c]!;
      pixels[i * channels + c] = Math.round((value * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return { pixels, width, height, channels, text };
}

/** The IHDR chunk of an image (11.2.1). */
export function header({ width, height, channels }: Omit<Bitmap, "pixels">): Chunk {
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 1 || side > 2 ** 31 - 1) {
      throw new RangeError(`Cannot encode an image of ${width}x${height}`);
    }
  }
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([8, channels === 1 ? 0 : 2], 8); // depth, color type; the rest is 0
  return { type: "IHDR", data };
}

/** Texts as chunks (11.3.3). */
export function textChunks(text: Readonly<Record<string, string>>): Chunk[] {
  return Object.entries(text).map(([keyword, value]) => {
    if (!/^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword)) {
      throw new RangeError(`Cannot use "${keyword}" as keyword: it must be 1 to 79 Latin letters`);
    }
    if (value.includes("\0")) throw new RangeError(`Cannot write a null character in "${keyword}"`);
    if (/^[\n\x20-\x7e\xa1-\xff]*$/.test(value)) {
      return { type: "tEXt", data: latin(`${keyword}\0${value}`) };
    }
    // Not compressed, no language, no translated keyword.
    const head = latin(`${keyword}\0\0\0\0\0`);
    return { type: "iTXt", data: concat([head, new TextEncoder().encode(value)]) };
  });
}

/** Filters and deflates the rows of an image, as IDAT holds them. */
export function compress(
  pixels: Uint8Array | Uint8ClampedArray,
  { width, height, channels }: Omit<Bitmap, "pixels">,
): Uint8Array {
  if (pixels.length !== width * height * channels) {
    throw new RangeError(
      `Cannot encode ${pixels.length} bytes as an image of ${width}x${height}x${channels}`,
    );
  }
  return deflateSync(filter(pixels, height, width * channels, channels));
}

/** A whole file of chunks. */
export function joinChunks(chunks: readonly Chunk[]): Uint8Array<ArrayBuffer> {
  const parts = [SIGNATURE];
  for (const { type, data } of chunks) {
    const body = concat([latin(type), data]);
    parts.push(uint32(data.length), body, uint32(crc32(body)));
  }
  return concat(parts);
}

/**
 * The chunks of a PNG file, up to and including IEND.
 *
 * @throws {SyntaxError} If a length or a checksum is wrong, or IHDR or IEND is missing.
 */
export function readChunks(bytes: Uint8Array, name = "the file"): Chunk[] {
  const fail = (why: string) => new SyntaxError(`Cannot read ${name} as PNG: ${why}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = bytes.subarray(0, 8);
  if (!start.every((byte, i) => byte === SIGNATURE[i])) throw fail("it is no PNG file");
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (!/^[A-Za-z]{4}$/.test(type)) throw fail(`it has no chunk at byte ${at}`);
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw fail(`the checksum of its chunk ${type} at byte ${at} is wrong`);
    }
    const data = bytes.subarray(at + 8, end);
    if (chunks.length === 0 && (type !== "IHDR" || length !== 13)) throw fail("it has no header");
    chunks.push({ type, data });
    if (type === "IEND") return chunks;
    at = end + 4;
  }
  throw fail(`it is cut short at ${bytes.length} bytes`);
}

function readHeader(
  data: Uint8Array,
  name: string,
): { width: number; height: number; depth: number; color: number; interlace: number } {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth = 0, color = 0, compression, method, interlace = 0] = data.subarray(8);
  if (width === 0 || height === 0 || compression !== 0 || method !== 0) {
    throw new SyntaxError(`Cannot read ${name} as PNG: its header is damaged`);
  }
  return { width, height, depth, color, interlace };
}

function collectText(chunks: readonly Chunk[], name: string): Record<string, string> {
  const texts = new Map<string, string>();
  for (const chunk of chunks) {
    if (!["tEXt", "zTXt", "iTXt"].includes(chunk.type)) continue;
    const [keyword, value] = readText(chunk, name);
    if (!texts.has(keyword)) texts.set(keyword, value);
  }
  return Object.fromEntries(texts);
}

/** Keyword and text of one text chunk (11.3.3). */
function readText({ type, data }: Chunk, name: string): [string, string] {
  const fail = (why: string) => new SyntaxError(`Cannot read the text of ${name}: ${why}`);
  const split = (from: number) => {
    const end = data.indexOf(0, from);
    if (end < 0) throw fail(`a chunk ${type} has no end of a field`);
    return end;
  };
  const end = split(0);
  const keyword = unlatin(data.subarray(0, end));
  if (type === "tEXt") return [keyword, unlatin(data.subarray(end + 1))];
  const [method, from] = type === "zTXt"
    ? [data[end + 1], end + 2]
    : [data[end + 2], split(split(end + 3) + 1) + 1]; // after language and translated keyword
  let value = data.subarray(from);
  if (type === "zTXt" || data[end + 1] === 1) {
    if (method !== 0) throw fail(`"${keyword}" is compressed in an unknown way`);
    try {
      value = inflateSync(value, { maxOutputLength: LONGEST_TEXT });
    } catch (error) {
      throw fail(`"${keyword}" cannot be inflated (${(error as Error).message})`);
    }
  }
  return [keyword, type === "zTXt" ? unlatin(value) : new TextDecoder().decode(value)];
}

/** Puts before each row the filter that makes its bytes smallest (12.7). */
function filter(
  pixels: Uint8Array | Uint8ClampedArray,
  height: number,
  row: number,
  step: number,
): Uint8Array {
  const out = new Uint8Array(height * (row + 1));
  const trial = new Uint8Array(row + 1);
  for (let y = 0; y < height; y++) {
    let best = Infinity;
    for (let kind = 0; kind < 5; kind++) {
      trial[0] = kind;
      let cost = 0;
      for (let x = 0; x < row && cost < best; x++) {
        const at = y * row + x;
        const left = x >= step ? pixels[at - step]! : 0;
        const up = y > 0 ? pixels[at - row]! : 0;
        const corner = x >= step && y > 0 ? pixels[at - row - step]! : 0;
        const value = (pixels[at]! - predict(kind, left, up, corner)) & 255;
        trial[x + 1] = value;
        cost += value < 128 ? value : 256 - value;
      }
      if (cost >= best) continue;
      best = cost;
      out.set(trial, y * (row + 1));
    }
  }
  return out;
}

/** Takes the filters away; undefined where one is unknown. */
function unfilter(
  data: Uint8Array,
  height: number,
  row: number,
  step: number,
): Uint8Array | undefined {
  const pixels = new Uint8Array(height * row);
  for (let y = 0; y < height; y++) {
    const kind = data[y * (row + 1)]!;
    if (kind > 4) return undefined;
    for (let x = 0; x < row; x++) {
      const at = y * row + x;
      const left = x >= step ? pixels[at - step]! : 0;
      const up = y > 0 ? pixels[at - row]! : 0;
      const corner = x >= step && y > 0 ? pixels[at - row - step]! : 0;
      pixels[at] = data[at + y + 1]! + predict(kind, left, up, corner);
    }
  }
  return pixels;
}

/** What a filter expects of a byte from its neighbors (9.2): none, sub, up, average, Paeth. */
function predict(kind: number, left: number, up: number, corner: number): number {
  if (kind < 3) return kind === 0 ? 0 : kind === 1 ? left : up;
  if (kind === 3) return (left + up) >> 1;
  const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + up - 2 * corner);
  return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function latin(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Not `TextDecoder("latin1")`, which is windows-1252. */
function unlatin(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return text;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
