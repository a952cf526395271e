import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { OutputError, writeAtomic } from "../../images/atomic.ts";
import { ClosedPipe, openOutput, type OutputOptions } from "../../images/output.ts";
import type { Bitmap } from "../../images/pixels.ts";
import { decodePng, readPngText } from "../../images/png.ts";

const tile = (value: number): Bitmap => ({
  pixels: new Uint8Array(4).fill(value),
  width: 2,
  height: 2,
  channels: 1,
});

/** A stdout that keeps what it is given, a few bytes at a time. */
function fakeStdout(terminal = false) {
  const bytes: number[] = [];
  return {
    bytes,
    isTerminal: () => terminal,
    write(part: Uint8Array) {
      bytes.push(...part.subarray(0, 50));
      return Promise.resolve(Math.min(50, part.length));
    },
  };
}

async function inTemporary(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes images 3, 1, 2 and returns the files reported. */
async function write(options: Partial<OutputOptions>): Promise<string[]> {
  const output = await openOutput({ stem: "digits-7", ...options });
  await output.prepare();
  for (const index of [3, 1, 2]) await output.add(tile(index), index, { n: String(index) });
  return await output.finish({ n: "sheet" });
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("openOutput() writes a folder of files numbered by index", () =>
  inTemporary(async (folder) => {
    const to = join(folder, "a", "b") + "/";
    const files = await write({ to });
    assertEquals(files, ["000001.png", "000002.png", "000003.png"].map((name) => join(to, name)));
    assertEquals(names(to), ["000001.png", "000002.png", "000003.png"]);
    const bytes = await Deno.readFile(files[2]!);
    assertEquals(decodePng(bytes), { ...tile(3), text: { n: "3" } });
    assertEquals(await write({ to: to.slice(0, -1) }), files); // the folder exists now
  }));

Deno.test("openOutput() writes one file, a sheet in order of index", () =>
  inTemporary(async (folder) => {
    const to = join(folder, "new", "sheet.png");
    assertEquals(await write({ to, sheet: { padding: 0, columns: 3 } }), [to]);
    const sheet = decodePng(await Deno.readFile(to));
    assertEquals([...sheet!.pixels], [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]);
    assertEquals(sheet!.text, { n: "sheet" });
    assertEquals(names(join(folder, "new")), ["sheet.png"]);
  }));

Deno.test("openOutput() writes numbered files beside a name when separate", () =>
  inTemporary(async (folder) => {
    const files = await write({ to: join(folder, "x.png"), separate: true });
    assertEquals(names(folder), ["x-0001.png", "x-0002.png", "x-0003.png"]);
    assertEquals(files.length, 3);
  }));

Deno.test("openOutput() never overwrites where no name was given", () =>
  inTemporary(async (folder) => {
    const stem = join(folder, "digits-7");
    const stdout = fakeStdout(true);
    assertEquals(await write({ stem, stdout }), [`${stem}.png`]);
    assertEquals(await write({ stem, stdout }), [`${stem}-1.png`]);
    assertEquals(await write({ stem, stdout }), [`${stem}-2.png`]);
    assertEquals((await write({ stem, stdout, separate: true }))[0], `${stem}-0001.png`);
    assertEquals((await write({ stem, stdout, separate: true }))[0], `${stem}-1-0001.png`);
  }));

Deno.test("openOutput() pipes one sheet, or one PNG after another", async () => {
  const one = fakeStdout();
  assertEquals(await write({ stdout: one }), []);
  assertEquals(decodePng(Uint8Array.from(one.bytes))!.width, 3 * 2 + 4 * 2);
  const many = fakeStdout();
  await write({ to: "-", separate: true, stdout: many });
  let rest = Uint8Array.from(many.bytes);
  for (const n of ["3", "1", "2"]) {
    assertEquals(readPngText(rest), { n });
    const end = new TextDecoder("latin1").decode(rest).indexOf("IEND") + 8;
    rest = rest.subarray(end);
  }
  assertEquals(rest.length, 0);
});

Deno.test("openOutput() keeps a single image's own text and writes nothing for none", async () => {
  const stdout = fakeStdout();
  const output = await openOutput({ stem: "x", stdout });
  await output.add(tile(5), 9, { n: "nine" });
  await output.finish({ n: "sheet" });
  assertEquals(readPngText(Uint8Array.from(stdout.bytes)), { n: "nine" });
  const none = fakeStdout();
  assertEquals(await (await openOutput({ stem: "x", stdout: none })).finish(), []);
  assertEquals(none.bytes, []);
});

Deno.test("openOutput() refuses terminals and names that are no PNG's", async () => {
  const stdout = fakeStdout(true);
  for (const [to, why] of [["-", "terminal"], ["", "empty"]]) {
    await assertRejects(() => openOutput({ to, stem: "x", stdout }), OutputError, why);
  }
  for (const to of ["a.jpg", "a"]) {
    await assertRejects(() => openOutput({ to, stem: "x", stdout }), RangeError, ".png");
  }
});

Deno.test("openOutput() tells a closed pipe from a failure", async () => {
  const failing = (error: Error) => ({
    isTerminal: () => false,
    write: () => Promise.reject(error),
  });
  const run = async (error: Error) => {
    const output = await openOutput({ stem: "x", separate: true, stdout: failing(error) });
    await output.add(tile(0), 0);
  };
  await assertRejects(() => run(new Deno.errors.BrokenPipe("EPIPE")), ClosedPipe);
  const full = Object.assign(new Error("No space"), { code: "ENOSPC" });
  await assertRejects(() => run(full), OutputError, "Cannot write stdout: the disk is full");
});

Deno.test("prepare() finds out before sampling and leaves nothing behind", () =>
  inTemporary(async (folder) => {
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "x");
    for (const to of [join(file, "a.png"), join(file, "b") + "/"]) {
      await assertRejects(
        async () => await (await openOutput({ to, stem: "x" })).prepare(),
        OutputError,
        "a part of its path is no folder",
      );
    }
    await (await openOutput({ to: join(folder, "ok.png"), stem: "x" })).prepare();
    assertEquals(names(folder), ["file"]);
  }));

Deno.test("writeAtomic() replaces a file whole and follows links", () =>
  inTemporary(async (folder) => {
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    await Deno.writeTextFile(file, "a long old text");
    await Deno.symlink(file, link);
    await writeAtomic(link, new TextEncoder().encode("new"));
    assertEquals(await Deno.readTextFile(file), "new");
    assert((await Deno.lstat(link)).isSymlink);
    assertEquals(names(folder), ["file", "link"]);
  }));

Deno.test("writeAtomic() leaves nothing behind when it fails", () =>
  inTemporary(async (folder) => {
    const one = new Uint8Array(1);
    await assertRejects(() => writeAtomic(folder, one), OutputError, "it is a folder");
    const file = join(folder, "file");
    await Deno.writeFile(file, one);
    const below = join(file, "below");
    await assertRejects(() => writeAtomic(below, one), OutputError, "a part of its path");
    assertEquals(names(folder), ["file"]);
  }));
