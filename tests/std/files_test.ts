import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { emptyDir, ensureDir, ensureDirSync, exists, existsSync, move, walk } from "@std/fs";
import {
  basename,
  dirname,
  extname,
  fromFileUrl,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  SEPARATOR,
  toFileUrl,
} from "@std/path";

Deno.test("path functions agree with @std/path", () => {
  const path = join("a", "..", "b", "c.tar.gz");
  assertEquals(path, `b${SEPARATOR}c.tar.gz`);
  assertEquals([dirname(path), basename(path), extname(path)], ["b", "c.tar.gz", ".gz"]);
  assertEquals([basename(path, ".gz"), join(""), normalize("a/./b/..")], ["c.tar", ".", "a"]);
  assertEquals(parse(path).name, "c.tar");
  assert(isAbsolute(resolve("a")));
  assertEquals(relative(resolve("a"), resolve("a", "b")), "b");
});

Deno.test("file URLs keep strange names", () => {
  const path = resolve("a b?#%.ts");
  assertEquals(toFileUrl(path).href.slice(-16), "/a%20b%3F%23%25.ts".slice(-16));
  assertEquals(fromFileUrl(toFileUrl(path)), path);
  assertEquals(basename(toFileUrl(path)), "a b?#%.ts");
  assertThrows(() => toFileUrl("a"), TypeError, "Path must be absolute");
  assertThrows(() => fromFileUrl("https://a/b"), TypeError, "URL must be a file URL");
});

Deno.test("fs functions make, find, move and empty", async () => {
  const root = await Deno.makeTempDir();
  try {
    const [deep, file] = [join(root, "x", "y"), join(root, "x", "y", "z.png")];
    await ensureDir(deep);
    ensureDirSync(deep);
    await Deno.writeTextFile(file, "");
    assert(await exists(file, { isFile: true }) && existsSync(deep, { isDirectory: true }));
    assert(!await exists(join(root, "none")) && !existsSync(file, { isDirectory: true }));
    await assertRejects(() => ensureDir(file), Error, "expected 'dir', got 'file'");

    const paths = async (options = {}) =>
      (await Array.fromAsync(walk(root, options))).map(({ path }) => relative(root, path)).sort();
    assertEquals(await paths(), ["", "x", join("x", "y"), join("x", "y", "z.png")]);
    assertEquals(await paths({ includeDirs: false, exts: ["png"] }), [join("x", "y", "z.png")]);
    assertEquals(await paths({ maxDepth: 1 }), ["", "x"]);
    assertEquals(await paths({ skip: [/y/] }), ["", "x"]);

    const moved = join(root, "m.png");
    await move(file, moved);
    await Deno.writeTextFile(file, "");
    await assertRejects(() => move(moved, file), Deno.errors.AlreadyExists);
    await move(moved, file, { overwrite: true });
    const inside = join(deep, "w");
    await assertRejects(() => move(join(root, "x"), inside), Deno.errors.NotSupported);
    await emptyDir(root);
    assertEquals(await paths(), [""]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
