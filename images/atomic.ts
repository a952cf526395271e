/**
 * Files that are either whole or not there.
 *
 * @module
 */
import { ensureDir } from "@std/fs";
import { basename, dirname, join } from "@std/path";

/** A file or a pipe that cannot be written; its message is one sentence for the user. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

/** Thrown when the reader of stdout has gone, as `head` goes: no failure, but the end. */
export class ClosedPipe extends Error {
  override readonly name = "ClosedPipe";
}

/** What a file is to hold: a text, bytes, or bytes that are made one part after another. */
export type Contents = string | Uint8Array | Iterable<Uint8Array>;

/**
 * Writes a file under a temporary name beside it, then renames it, so that nobody ever sees half
 * of it; folders that are missing are made. Devices such as /dev/null are written directly.
 *
 * @throws {OutputError} If it cannot be written; nothing is left behind.
 */
export async function writeAtomic(path: string, data: Contents): Promise<void> {
  const whole = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const parts = whole instanceof Uint8Array ? [whole] : whole;
  try {
    const target = await statOrNone(path);
    if (target?.isDirectory) throw new OutputError(`Cannot write ${path}: it is a folder`);
    if (target !== undefined && !target.isFile) return await writeParts(path, {}, parts);
    // A link stays a link: what it points to is replaced.
    await replace(target === undefined ? path : await Deno.realPath(path), parts);
  } catch (error) {
    throw explainWrite(path, error);
  }
}

async function writeParts(
  path: string,
  options: Deno.OpenOptions,
  parts: Iterable<Uint8Array>,
): Promise<void> {
  using file = await Deno.open(path, { write: true, ...options });
  for (const part of parts) await writeAll(file, part);
  if (options.createNew) await file.sync();
}

async function replace(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  await ensureDir(dirname(path));
  const temporary = join(dirname(path), `.${basename(path).slice(0, 40)}.${crypto.randomUUID()}`);
  try {
    await writeParts(temporary, { createNew: true }, parts);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Writes all bytes, however many calls it takes. */
export async function writeAll(
  writer: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await writer.write(bytes.subarray(at));
}

/** What the path names, links followed; undefined where there is nothing. */
export async function statOrNone(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** An error of the system, in words. */
export function explainWrite(path: string, error: unknown): OutputError {
  if (error instanceof OutputError) return error;
  const { code, message } = error as Error & { code?: string };
  const why = {
    EACCES: "permission denied",
    EDQUOT: "the disk quota is used up",
    EFBIG: "it is larger than the file system allows",
    EISDIR: "it is a folder",
    ENAMETOOLONG: "its name is too long",
    ENOENT: "its folder does not exist",
    ENOSPC: "the disk is full",
    ENOTDIR: "a part of its path is no folder",
    EPERM: "permission denied",
    EROFS: "the file system is read-only",
  }[code ?? ""] ?? message; // Deno's own message names the permission that is missing
  return new OutputError(`Cannot write ${path}: ${why}`, { cause: error });
}
