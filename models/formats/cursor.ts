/**
 * Bytes that are read from front to back, of a file or of memory, and never beyond their end.
 *
 * @module
 */
import { readRange } from "./elements.ts";

/** A place in a stream of bytes. */
export interface Cursor {
  /** Bytes that were read. */
  readonly position: number;
  /** Bytes that are left. */
  readonly left: number;
  /** The next bytes; valid until the next call. */
  take(length: number): Uint8Array;
  /** The next bytes up to a line feed, which is read too, as Latin-1. */
  line(): string;
}

const WINDOW = 1 << 16; // bytes of a file that are held
const LONGEST_LINE = 4096;

/**
 * A cursor over `size` bytes.
 *
 * @param read gives the bytes of a range.
 */
function cursor(size: number, read: (offset: number, length: number) => Uint8Array): Cursor {
  let position = 0;
  let [held, start] = [new Uint8Array(0) as Uint8Array, 0];
  const take = (length: number): Uint8Array => {
    if (length > size - position) {
      throw new SyntaxError(`it ends ${length - (size - position)} bytes early`);
    }
    if (position + length > start + held.length) {
      start = position;
      held = read(start, Math.min(Math.max(length, WINDOW), size - start));
    }
    const bytes = held.subarray(position - start, position - start + length);
    position += length;
    return bytes;
  };
  return {
    get position() {
      return position;
    },
    get left() {
      return size - position;
    },
    take,
    line() {
      let text = "";
      for (;;) {
        const [byte = 0] = take(1);
        if (byte === 10) return text;
        if (text.length === LONGEST_LINE) throw new SyntaxError("one of its lines has no end");
        text += String.fromCharCode(byte);
      }
    },
  };
}

/** A cursor over bytes in memory. */
export function cursorOver(bytes: Uint8Array): Cursor {
  return cursor(bytes.length, (offset, length) => bytes.subarray(offset, offset + length));
}

/** A cursor over a whole file, of which a small part is held at a time. */
export function cursorInFile(path: string): Cursor {
  return cursor(Deno.statSync(path).size, (offset, length) => readRange(path, offset, length));
}
