import { basename, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

/** What to visit. Symbolic links are listed and not followed. */
export interface WalkOptions {
  maxDepth?: number;
  includeFiles?: boolean;
  includeDirs?: boolean;
  includeSymlinks?: boolean;
  exts?: string[];
  match?: RegExp[];
  skip?: RegExp[];
}

/** One file or folder. */
export interface WalkEntry extends Deno.DirEntry {
  path: string;
}

/** Visits a folder and everything below it, in the order of the file system. */
export async function* walk(
  root: string | URL,
  options: WalkOptions = {},
): AsyncIterableIterator<WalkEntry> {
  const { maxDepth = Infinity, includeFiles = true, includeDirs = true, includeSymlinks = true } =
    options;
  const { exts, match, skip } = options;
  if (maxDepth < 0) return;
  const folder = root instanceof URL ? fileURLToPath(root) : root;
  const endings = exts?.map((ext) => ext.startsWith(".") ? ext : `.${ext}`);
  const skipped = (path: string) => skip?.some((pattern) => path.match(pattern)) ?? false;
  const wanted = (path: string) =>
    (endings?.some((ext) => path.endsWith(ext)) ?? true) &&
    (match?.some((pattern) => path.match(pattern)) ?? true) && !skipped(path);
  if (includeDirs && wanted(folder)) {
    const path = normalize(folder);
    const { isFile, isDirectory, isSymlink } = await Deno.stat(path);
    yield { path, name: basename(path), isFile, isDirectory, isSymlink };
  }
  if (maxDepth < 1 || skipped(folder)) return;
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path, { ...options, maxDepth: maxDepth - 1 });
    else if ((entry.isSymlink ? includeSymlinks : includeFiles) && wanted(path)) {
      yield { path, ...entry };
    }
  }
}
