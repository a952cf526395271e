/**
 * Folders of images, one sub-folder a class, in any format that sharp reads.
 *
 * @module
 */
import { join } from "@std/path";
import { decodeImage } from "../../images/load.ts";
import { fromBytes } from "../../images/pixels.ts";
import { checkIndex, checkSize } from "./_memory.ts";
import type { DataOptions, Dataset } from "./dataset.ts";

const IMAGE = /\.(png|jpe?g|webp|gif|tiff?|avif|heic|svg)$/i;
/** Decoded images are kept as bytes as long as all of them fit into this. */
const CACHE = 512 * 2 ** 20;
/** Images decoded at once; sharp has its own threads. */
const AT_ONCE = 16;

/**
 * Opens a folder of images. Its sub-folders, sorted by name, are the classes; images below them
 * belong to their class at any depth. A folder without sub-folders is unlabelled. Images are
 * turned upright, laid on white where they are transparent and, given a size, cropped to their
 * central square and resized to it. Without one, all must be as large as the first.
 *
 * @throws {RangeError} If the folder holds no images, or images beside sub-folders.
 * @throws {SyntaxError} If the first image, or in `batch()` another, cannot be decoded.
 */
export async function openFolder(folder: string, options: DataOptions = {}): Promise<Dataset> {
  const { size } = options;
  if (size !== undefined) checkSize(size);
  const { files, labels, names } = await listImages(folder);
  const first = await decodeImage(await Deno.readFile(files[0]!), files[0]!, {
    width: size,
    height: size,
    channels: options.channels,
  });
  const { width, height, channels } = first;
  const span = height * width * channels;
  const cache = files.length * span <= CACHE ? new Uint8Array(files.length * span) : undefined;
  const cached = new Uint8Array(files.length);

  async function decode(index: number): Promise<Uint8Array> {
    const kept = cache?.subarray(index * span, (index + 1) * span);
    if (kept !== undefined && cached[index] === 1) return kept;
    const pixels = await decodeFile(files[index]!);
    kept?.set(pixels);
    cached[index] = 1;
    return kept ?? pixels;
  }

  async function decodeFile(file: string): Promise<Uint8Array> {
    const wanted = { width: size, height: size, channels };
    const image = await decodeImage(await Deno.readFile(file), file, wanted);
    if (image.width === width && image.height === height) return image.pixels;
    throw new SyntaxError(
      `Cannot use ${file}: it is ${image.width}x${image.height}, but the first image is ` +
        `${width}x${height}; give a size`,
    );
  }

  return {
    length: files.length,
    height,
    width,
    channels,
    labels: names,
    async batch(indices) {
      const images = new Float32Array(indices.length * span);
      for (let from = 0; from < indices.length; from += AT_ONCE) {
        const part = Array.from(indices.slice(from, from + AT_ONCE));
        await Promise.all(part.map(async (index, i) => {
          const pixels = await decode(checkIndex(index, files.length, folder));
          fromBytes(pixels, images, (from + i) * span);
        }));
      }
      return { images, labels: Int32Array.from(indices, (index) => labels[index]!) };
    },
  };
}

/** A folder's image files in a fixed order, with the label of each and the names of labels. */
async function listImages(
  folder: string,
): Promise<{ files: string[]; labels: number[]; names: string[] }> {
  const top = await list(folder, true);
  const files = top.files.map((name) => join(folder, name));
  if (files.length > 0 && top.folders.length > 0) {
    throw new RangeError(
      `Cannot use ${folder}: it has images (${top.files[0]}) beside sub-folders ` +
        `(${top.folders[0]}), so their class is unclear`,
    );
  }
  const labels = files.map(() => 0);
  const names: string[] = [];
  for (const name of top.folders) {
    const found = await walk(join(folder, name));
    if (found.length === 0) continue;
    for (const file of found) {
      files.push(file);
      labels.push(names.length);
    }
    names.push(name);
  }
  if (files.length === 0) throw new RangeError(`Cannot use ${folder}: it holds no images`);
  return { files, labels, names };
}

async function walk(folder: string): Promise<string[]> {
  const { files, folders } = await list(folder);
  const found = files.map((name) => join(folder, name));
  for (const name of folders) found.push(...await walk(join(folder, name)));
  return found;
}

/**
 * Images and sub-folders, sorted, without hidden ones; links to folders, which may form loops, only
 * on demand.
 */
async function list(
  folder: string,
  follow = false,
): Promise<{ files: string[]; folders: string[] }> {
  const [files, folders]: [string[], string[]] = [[], []];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory) folders.push(entry.name);
    else if (IMAGE.test(entry.name)) files.push(entry.name);
    else if (follow && entry.isSymlink) {
      if ((await Deno.stat(join(folder, entry.name))).isDirectory) folders.push(entry.name);
    }
  }
  return { files: files.sort(), folders: folders.sort() };
}
