/**
 * Training data by name or path.
 *
 * @module
 */
import { join } from "@std/path";
import type { DataOptions, Dataset } from "./dataset.ts";
import { openFolder } from "./folder.ts";
import { findIdx, openIdx } from "./idx.ts";
import { openMnist } from "./mnist.ts";
import { openNpz } from "./npz.ts";

export type { Batch, DataOptions, Dataset } from "./dataset.ts";

/**
 * Opens training data.
 *
 * @param spec `mnist`, or a path: an IDX file, a folder of IDX files with MNIST's names,
 * an npz file, or a folder of images with one sub-folder a class. A folder whose sub-folders are
 * named `train` and `test` has these as its splits. Write `./mnist` for a folder of that name.
 * @throws {RangeError} If the data has no such split, or its images cannot have the size or
 * channels asked for.
 * @throws {SyntaxError} If a file is damaged or of another kind.
 * @throws {Deno.errors.NotFound} If there is no such file or folder.
 */
export async function openDataset(spec: string, options: DataOptions = {}): Promise<Dataset> {
  if (spec === "mnist") return await openMnist(options);
  const { split = "train" } = options;
  if ((await stat(spec)).isDirectory) {
    const idx = await findIdx(spec, split);
    if (idx !== undefined) return await openIdx(idx, options);
    const part = join(spec, split);
    if (await isFolder(part)) return await openFolder(part, options);
    checkSplit(spec, split);
    return await openFolder(spec, options);
  }
  const head = await readHead(spec);
  const [first, second] = head;
  if (first === 0x50 && second === 0x4b) return await openNpz(spec, options); // "PK", a zip
  if (/idx\d/.test(spec) || (first === 0x1f && second === 0x8b) || (first === 0 && second === 0)) {
    checkSplit(spec, split);
    return await openIdx(spec, options);
  }
  throw new SyntaxError(
    `Cannot use ${spec} as training data: it is neither an IDX nor an npz file, nor a folder`,
  );
}

function checkSplit(spec: string, split: "train" | "test"): void {
  if (split === "test") throw new RangeError(`Cannot take the test split of ${spec}: it has none`);
}

async function stat(spec: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(spec);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `Cannot find the training data ${spec}: give mnist, a file or a folder`,
    );
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function readHead(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const head = new Uint8Array(2);
  const count = await file.read(head) ?? 0;
  return head.subarray(0, count);
}
