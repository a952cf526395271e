/**
 * One file of the hub: downloaded beside its place, checked, and only then put there.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { dirname } from "@std/path";

/** A file as the hub lists it. */
export interface RemoteFile {
  /** In the repository, such as `unet/config.json`. */
  readonly path: string;
  readonly size: number;
  /** Its SHA-256 where it is stored beside git, else git's SHA-1 of it; the name of its blob. */
  readonly checksum: string;
}

/** Where bytes come from and go to. */
export interface Transfer {
  /**
   * The bytes from `start` to the end. A stream that breaks off is asked for again; an error with a
   * `statusCode` is an answer, which is not.
   */
  read(start: number): Promise<ReadableStream<Uint8Array>>;
  /** Told how many more bytes are there; negative where some were dropped. */
  onBytes?(count: number): void;
  /** Opens the file that bytes are added to: {@linkcode Deno.open} where absent. */
  open?(path: string, options: Deno.OpenOptions): Promise<Output>;
  readonly signal?: AbortSignal | undefined;
  /** The pause before the first repetition in milliseconds, which doubles with each. */
  readonly pause?: number;
}

/** A file that is written to. */
export interface Output extends Disposable {
  write(bytes: Uint8Array): Promise<number>;
}

/** A connection that gives nothing so often is given up. */
const ATTEMPTS = 5;

/** What went wrong on this side of the wire, where asking again is of no use. */
class LocalFault extends Error {
  override readonly name = "LocalFault";
}

/**
 * Downloads a file to `blob`. What an earlier run has left in `blob.incomplete` is gone on from.
 *
 * @throws {Error} Where it cannot be read or written, or where its checksum is another than the
 * hub's; then nothing of it is kept.
 */
export async function download(file: RemoteFile, blob: string, transfer: Transfer): Promise<void> {
  const { open = (path, options) => Deno.open(path, options), signal, pause = 500 } = transfer;
  const partial = `${blob}.incomplete`;
  await Deno.mkdir(dirname(blob), { recursive: true });
  const hash = hashOf(file);
  let done = await resume(partial, file, hash);
  transfer.onBytes?.(done);
  for (let failures = 0; done < file.size;) {
    const before = done;
    try {
      using output = await open(partial, { create: true, append: true });
      for await (const bytes of await transfer.read(done)) {
        signal?.throwIfAborted();
        await writeAll(output, bytes, file);
        hash.update(bytes);
        done += bytes.length;
        transfer.onBytes?.(bytes.length);
      }
      if (done < file.size) throw new Error("the connection was closed early");
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof LocalFault || isAnswer(cause)) throw cause;
      failures = done > before ? 1 : failures + 1;
      if (failures >= ATTEMPTS) throw failure(file, done, cause);
      await new Promise((resolve) => setTimeout(resolve, pause * 2 ** (failures - 1)));
    }
  }
  if (file.size === 0) await Deno.writeFile(partial, new Uint8Array());
  const found = hash.digest("hex");
  if (done !== file.size || found !== file.checksum) {
    await Deno.remove(partial);
    transfer.onBytes?.(-done);
    throw new Error(
      `Cannot keep "${file.path}": its checksum is ${found} after ${done} bytes, the hub says ${file.checksum} and ${file.size} bytes; nothing of it was kept`,
    );
  }
  await Deno.rename(partial, blob);
}

/** The checksum's beginning: git counts a head with the length in. */
function hashOf({ checksum, size }: RemoteFile): Hash {
  return checksum.length === 64
    ? createHash("sha256")
    : createHash("sha1").update(`blob ${size}\0`);
}

/** Reads what is there of a file into its checksum; resolves to its length. */
async function resume(partial: string, { size }: RemoteFile, hash: Hash): Promise<number> {
  try {
    const there = await Deno.stat(partial);
    if (there.size > size) {
      await Deno.remove(partial);
      return 0;
    }
    using input = await Deno.open(partial);
    for await (const bytes of input.readable) hash.update(bytes);
    return there.size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function writeAll(output: Output, bytes: Uint8Array, { path }: RemoteFile): Promise<void> {
  try {
    for (let sent = 0; sent < bytes.length;) sent += await output.write(bytes.subarray(sent));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const full = /ENOSPC|no space|os error 28\b/i.test(reason);
    throw new LocalFault(
      full
        ? `Cannot write "${path}": the disk is full; make room and repeat the command, which goes on from here`
        : `Cannot write "${path}": ${reason}`,
      { cause },
    );
  }
}

/** Whether the server has refused, and will again; it is asked again where it is busy or broken. */
function isAnswer(cause: unknown): boolean {
  const { statusCode } = cause as { readonly statusCode?: unknown };
  return typeof statusCode === "number" && statusCode < 500 && statusCode !== 429;
}

function failure({ path, size }: RemoteFile, done: number, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(
    `Cannot download "${path}": ${reason}; ${done} of ${size} bytes are kept, and the command goes on from there when it is repeated`,
    { cause },
  );
}
