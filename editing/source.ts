import type { Source } from "./settings.ts";

/** A file's bytes, and what settings keep of it. */
export interface ReadSource extends Source {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Reads a file that a run depends on.
 *
 * @param expected The SHA-256 that it must have, where a PNG's settings are repeated.
 * @throws {RangeError} Where there is no such file, or it is another one by now.
 */
export async function readSource(
  path: string,
  flag: string,
  expected?: string,
): Promise<ReadSource> {
  const fail = (reason: string) => new RangeError(`Cannot use --${flag} ${path}: ${reason}`);
  const info = await Deno.stat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) throw fail("there is no such file");
    throw error;
  });
  if (!info.isFile) throw fail("it is no file"); // a device would never end
  const bytes = await Deno.readFile(path);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (expected === undefined || expected === sha256) return { path, sha256, bytes };
  throw fail(`it is not the file of the settings that are repeated; name it again with --${flag}`);
}
