/**
 * Where images go: a pipe, a file, or a folder of numbered files.
 *
 * @module
 */
import { basename, dirname, extname, join } from "@std/path";
import {
  ClosedPipe,
  explainWrite,
  OutputError,
  statOrNone,
  writeAll,
  writeAtomic,
} from "./atomic.ts";
export { ClosedPipe } from "./atomic.ts";
import type { Bitmap } from "./pixels.ts";
import { encodePng } from "./png.ts";
import { makeSheet, type SheetOptions } from "./sheet.ts";

/** What the user asked for. */
export interface OutputOptions {
  /**
   * `-` for stdout, `folder/` (or a folder that exists), or `file.png`. Absent: stdout where it is
   * no terminal, else a new file in the current folder.
   */
  readonly to?: string | undefined;
  /** One PNG an image, where a pipe or a file would get them as one sheet. */
  readonly separate?: boolean | undefined;
  /** The new file's name without its ending, such as `digits-7`. */
  readonly stem: string;
  /** How sheets look. */
  readonly sheet?: SheetOptions | undefined;
  /** In place of `Deno.stdout`, for tests. */
  readonly stdout?: {
    write(bytes: Uint8Array): Promise<number>;
    isTerminal(): boolean;
  } | undefined;
}

/** Takes the images of a run one by one. */
export interface Output {
  /**
   * Makes missing folders and checks that they can be written to. Call it before sampling: a run
   * of hours should not end at its first file.
   *
   * @throws {OutputError} If it cannot be written to.
   */
  prepare(): Promise<void>;
  /**
   * Writes an image, or keeps it for the sheet.
   *
   * @param index The image's number in the whole run, whatever its shard or batch.
   * @param text The image's texts by keyword.
   * @throws {ClosedPipe} If the reader of stdout has gone.
   * @throws {OutputError} If it cannot be written.
   */
  add(image: Bitmap, index: number, text?: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Writes the sheet, images in order of index. Also after an interruption: what is finished is
   * kept. A sheet of one is that image with its own text.
   *
   * @param text The sheet's texts; those of its first image where absent.
   * @returns The files written, in order; empty for stdout.
   */
  finish(text?: Readonly<Record<string, string>>): Promise<string[]>;
}

/**
 * Understands where images go; touches nothing yet but to look at what is there.
 *
 * @throws {OutputError} If the name is no PNG's, or stdout is a terminal.
 */
export async function openOutput(options: OutputOptions): Promise<Output> {
  const { to, separate = false, stem, sheet, stdout = Deno.stdout } = options;
  if (to === "") throw new OutputError("Cannot write to an empty name");
  if (to === "-" || (to === undefined && !stdout.isTerminal())) {
    if (stdout.isTerminal()) {
      throw new OutputError("Cannot write images to a terminal: redirect stdout or give a file");
    }
    const write = (bytes: Uint8Array) => pipe(stdout, bytes);
    if (separate) return each(write, { prepare: async () => {} });
    return together(write, { sheet, prepare: async () => {} });
  }
  const found = to === undefined ? undefined : await look(to);
  if (to !== undefined && (/[/\\]$/.test(to) || found?.isDirectory)) {
    const name = (index: number) => join(to, `${String(index).padStart(6, "0")}.png`);
    return each(toFile(name), { prepare: () => prepareFolder(to, to), name });
  }
  if (to === undefined) {
    if (separate) {
      const stems = numbered(await free(stem, true));
      return each(toFile(stems), { prepare: () => prepareFolder(".", stems(0)), name: stems });
    }
    let path = `${stem}.png`;
    return together(async (bytes) => {
      path = `${await free(stem, false)}.png`; // as late as possible: others write here too
      await writeAtomic(path, bytes);
    }, { sheet, prepare: () => prepareFolder(".", path), name: () => path });
  }
  if (found !== undefined && !found.isFile && !found.isDirectory) { // a device
    const write = (bytes: Uint8Array) => writeAtomic(to, bytes);
    const prepare = async () => {};
    return separate ? each(write, { prepare }) : together(write, { sheet, prepare });
  }
  if (extname(to).toLowerCase() !== ".png") {
    throw new RangeError(
      `Cannot write ${to}: give a name that ends in .png, a folder that ends in /, or -`,
    );
  }
  const prepare = () => prepareFolder(dirname(to), to);
  if (separate) {
    const name = numbered(to.slice(0, -extname(to).length));
    return each(toFile(name), { prepare, name });
  }
  return together((bytes) => writeAtomic(to, bytes), { sheet, prepare, name: () => to });
}

/** Writes each image at once. */
function each(
  write: (bytes: Uint8Array, index: number) => Promise<void>,
  { prepare, name }: { prepare: () => Promise<void>; name?: (index: number) => string },
): Output {
  const written: number[] = [];
  return {
    prepare,
    async add(image, index, text = {}) {
      await write(encodePng(image.pixels, image, text), index);
      written.push(index);
    },
    // deno-lint-ignore require-await
    async finish() {
      return name === undefined ? [] : written.sort((a, b) => a - b).map(name);
    },
  };
}

/** Keeps the images for one sheet. */
function together(
  write: (bytes: Uint8Array) => Promise<void>,
  { prepare, sheet, name }: {
    prepare: () => Promise<void>;
    sheet?: SheetOptions | undefined;
    name?: () => string;
  },
): Output {
  const kept: { image: Bitmap; index: number; text: Readonly<Record<string, string>> }[] = [];
  return {
    prepare,
    // deno-lint-ignore require-await
    async add(image, index, text = {}) {
      kept.push({ image, index, text });
    },
    async finish(text) {
      kept.sort((a, b) => a.index - b.index);
      const [first] = kept;
      if (first === undefined) return [];
      const whole = makeSheet(kept.map(({ image }) => image), sheet);
      const texts = kept.length === 1 ? first.text : text ?? first.text;
      await write(encodePng(whole.pixels, whole, texts));
      return name === undefined ? [] : [name()];
    },
  };
}

function toFile(name: (index: number) => string) {
  return (bytes: Uint8Array, index: number) => writeAtomic(name(index), bytes);
}

function numbered(stem: string): (index: number) => string {
  return (index) => `${stem}-${String(index).padStart(4, "0")}.png`;
}

/** The stem, or stem-1, stem-2, ...: the first whose file, or numbered files, are not there. */
async function free(stem: string, separate: boolean): Promise<string> {
  const folder = dirname(stem);
  const taken: string[] = [];
  if ((await look(folder))?.isDirectory) {
    for await (const entry of Deno.readDir(folder)) taken.push(entry.name);
  }
  for (let i = 0;; i++) {
    const name = i === 0 ? stem : `${stem}-${i}`;
    const start = separate ? `${basename(name)}-` : basename(name);
    const rest = taken.filter((file) => file.startsWith(start))
      .map((file) => file.slice(start.length));
    const clash = separate ? /^\d{4,}\.png$/i : /^\.png$/i;
    if (!rest.some((ending) => clash.test(ending))) return name;
  }
}

/** Makes the folder and writes an empty file into it, away again at once. */
async function prepareFolder(folder: string, path: string): Promise<void> {
  const probe = join(folder, `.${basename(path).slice(0, 40)}.${crypto.randomUUID()}`);
  try {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeFile(probe, new Uint8Array(), { createNew: true });
    await Deno.remove(probe);
  } catch (error) {
    throw explainWrite(path, error);
  }
}

async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await statOrNone(path);
  } catch (error) {
    throw explainWrite(path, error);
  }
}

async function pipe(
  stdout: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  try {
    await writeAll(stdout, bytes);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) {
      throw new ClosedPipe("The reader of stdout has gone");
    }
    throw explainWrite("stdout", error);
  }
}
