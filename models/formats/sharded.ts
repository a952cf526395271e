/**
 * Checkpoints of several files: an `.index.json` says which file each tensor is in.
 *
 * @module
 */
import { dirname, join } from "@std/path";
import { readJson } from "../config.ts";
import type { StoredTensor, Weights } from "../weights.ts";
import { countOf, ELEMENT_BYTES, quote } from "./elements.ts";

/**
 * Opens the files of an index.
 *
 * @param open opens one of them.
 * @throws {Error} Where a file is missing or outside the index's folder, or the index and the files
 * do not have the same tensors.
 */
export function readSharded(path: string, open: (path: string) => Weights): Weights {
  const fail = (reason: string) => new Error(`Cannot read "${path}": ${reason}`);
  const { weight_map: map, metadata } = readJson(path);
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw fail("weight_map must be an object of file names");
  }
  const names = Object.entries(map);
  for (const [tensor, file] of names) {
    if (typeof file !== "string" || !/^[^/\\]+$/.test(file) || /^\.{1,2}$/.test(file)) {
      throw fail(
        `tensor ${quote(tensor)} is in ${
          quote(String(file))
        }, which is no file name beside the index`,
      );
    }
  }
  const tensors = new Map<string, StoredTensor>();
  for (const file of new Set(names.map(([, file]) => file as string))) { // checked above
    for (const [name, tensor] of openShard(file)) {
      if (tensors.has(name)) throw fail(`tensor ${quote(name)} is in two files`);
      const owner = Object.hasOwn(map, name) ? (map as Record<string, string>)[name] : undefined;
      if (owner !== file) {
        throw fail(
          `tensor ${quote(name)} is in ${quote(file)}, the index has it in ${
            quote(owner ?? "no file")
          }`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  const missing = names.find(([name]) => !tensors.has(name));
  if (missing !== undefined) {
    throw fail(`tensor ${quote(missing[0])} is not in ${quote(String(missing[1]))}`);
  }
  const total = (metadata as { total_size?: unknown } | null | undefined)?.total_size;
  const size = [...tensors.values()].reduce(
    (sum, { shape, dtype }) => sum + countOf(shape) * (ELEMENT_BYTES[dtype] ?? 0),
    0,
  );
  if (total !== undefined && total !== size) {
    throw fail(`total_size is ${JSON.stringify(total)}, its files have ${size} bytes of tensors`);
  }
  return tensors;

  function openShard(file: string): Weights {
    try {
      return open(join(dirname(path), file));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new Deno.errors.NotFound(`Cannot read "${path}": its file ${quote(file)} is missing`, {
        cause,
      });
    }
  }
}
