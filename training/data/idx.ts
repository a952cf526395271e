/**
 * IDX files, the format of the MNIST digits: http://yann.lecun.com/exdb/mnist (file formats).
 *
 * @module
 */
import { basename, dirname, join } from "@std/path";
import { inflateExactly, inflateHead } from "./_inflate.ts";
import { fromStack } from "./_memory.ts";
import type { DataOptions, Dataset } from "./dataset.ts";

/** An IDX array of bytes. */
export interface IdxArray {
  /** One entry a dimension, each at least 1. */
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Uint8Array;
}

/**
 * Opens an IDX file of images `[count, height, width]`, with the labels from the file beside it
 * (`train-images-idx3-ubyte` and `train-labels-idx1-ubyte`; `.gz` accepted), if there is one.
 *
 * @throws {SyntaxError} If a file is not what its header says, or the counts differ.
 * @throws {RangeError} If the images cannot have the size or channels asked for.
 */
export async function openIdx(path: string, options: DataOptions = {}): Promise<Dataset> {
  const images = await readIdx(path, 3);
  const [length = 0, height = 0, width = 0] = images.shape;
  if (height > 4096 || width > 4096) {
    throw new SyntaxError(`Cannot read ${path} as IDX: images of ${width}x${height} are too large`);
  }
  const beside = await findLabels(path);
  const labels = beside === undefined ? undefined : await readIdx(beside, 1);
  if (labels !== undefined && labels.shape[0] !== length) {
    throw new SyntaxError(
      `Cannot use ${path}: it has ${length} images, but ${beside} has ${labels.shape[0]} labels`,
    );
  }
  return fromStack({
    name: path,
    pixels: images.data,
    length,
    height,
    width,
    channels: 1,
    labels: labels && Int32Array.from(labels.data),
  }, options);
}

/** The IDX file of a split's images in a folder, by MNIST's names; undefined without one. */
export async function findIdx(
  folder: string,
  split: "train" | "test",
): Promise<string | undefined> {
  for (const stem of split === "train" ? ["train"] : ["t10k", "test"]) {
    for (const name of [`${stem}-images-idx3-ubyte`, `${stem}-images.idx3-ubyte`]) {
      for (const path of [join(folder, name), join(folder, `${name}.gz`)]) {
        if (await isFile(path)) return path;
      }
    }
  }
  return undefined;
}

/**
 * Reads an IDX file of bytes, plain or gzipped.
 *
 * @throws {SyntaxError} If it has another type, another number of dimensions, or not exactly the
 * bytes that its header declares.
 */
export async function readIdx(path: string, dimensions: number): Promise<IdxArray> {
  const file = await Deno.readFile(path);
  const gzipped = file[0] === 0x1f && file[1] === 0x8b;
  const size = 4 + 4 * dimensions;
  const head = gzipped ? await inflateHead(file, "gzip", size) : file.subarray(0, size);
  const fail = (why: string) => new SyntaxError(`Cannot read ${path} as IDX: ${why}`);
  if (head.length < size) throw fail(`it ends within its header, after ${head.length} bytes`);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const magic = view.getUint32(0);
  if (magic !== 0x800 + dimensions) {
    throw fail(
      `its magic number is 0x${magic.toString(16).padStart(8, "0")}, ` +
        `not 0x0000080${dimensions} (bytes in ${dimensions} dimensions)`,
    );
  }
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  if (shape.includes(0)) throw fail(`it is empty: its shape is ${shape.join("x")}`);
  const total = size + shape.reduce((product, side) => product * side, 1);
  if (!gzipped && file.length !== total) {
    throw fail(`its shape ${shape.join("x")} takes ${total} bytes, but it has ${file.length}`);
  }
  try {
    const bytes = gzipped ? await inflateExactly(file, "gzip", total) : file;
    return { shape, data: bytes.subarray(size) };
  } catch (error) {
    if (error instanceof RangeError) throw fail(error.message);
    throw error;
  }
}

/** `train-images-idx3-ubyte.gz` has its labels in `train-labels-idx1-ubyte`, with or without .gz. */
async function findLabels(path: string): Promise<string | undefined> {
  const name = basename(path).replace(/\.gz$/, "");
  const labels = name.replace("images", "labels").replace("idx3", "idx1");
  if (labels === name) return undefined;
  const plain = join(dirname(path), labels);
  const [first, second] = path.endsWith(".gz") ? [`${plain}.gz`, plain] : [plain, `${plain}.gz`];
  if (await isFile(first)) return first;
  return await isFile(second) ? second : undefined;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
