import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { gzipSync, zipSync } from "fflate";
import { encodePng } from "../../../images/png.ts";
import { openDataset } from "../../../training/data/mod.ts";
import { parseNpy } from "../../../training/data/npz.ts";

const [IMAGES, LABELS] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];

/** An IDX array of bytes. */
function idx(shape: number[], data: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x800 + shape.length);
  shape.forEach((side, i) => view.setUint32(4 + 4 * i, side));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

/** An npy array, as NumPy writes it. */
function npy(
  descr: string,
  shape: number[],
  data: ArrayBufferView,
  order = "False",
): Uint8Array<ArrayBuffer> {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${sides}), }`;
  const header = text.padEnd(118 - 1) + "\n"; // 10 + 118 = 2 * 64
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set(Uint8Array.from(`\x93NUMPY\x01\0${"\x76\0"}${header}`, (l) => l.charCodeAt(0)));
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length);
  return bytes;
}

async function inTemporary(
  files: Record<string, Uint8Array>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.mkdir(join(folder, name, ".."), { recursive: true });
      await Deno.writeFile(join(folder, name), bytes);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const three = idx([3, 2, 2], [0, 255, 51, 204, 1, 1, 1, 1, 2, 2, 2, 2]);
const pixel = (byte: number) => Math.fround(byte / 127.5 - 1);

Deno.test("openDataset() reads IDX files with their labels", () =>
  inTemporary({ [IMAGES]: three, [LABELS]: idx([3], [2, 0, 1]) }, async (folder) => {
    for (const spec of [join(folder, IMAGES), folder]) {
      const data = await openDataset(spec);
      assertEquals([data.length, data.height, data.width, data.channels], [3, 2, 2, 1]);
      assertEquals(data.labels, ["0", "1", "2"]);
      const { images, labels } = await data.batch([1, 0]);
      assertEquals(labels, Int32Array.of(0, 2));
      assertEquals(images, Float32Array.from([1, 1, 1, 1, 0, 255, 51, 204], pixel));
    }
    await assertRejects(
      () => openDataset(join(folder, IMAGES), { split: "test" }),
      RangeError,
      "it has none",
    );
  }));

Deno.test("openDataset() pads by an even border and repeats grey", () =>
  inTemporary({ [IMAGES]: three }, async (folder) => {
    const data = await openDataset(join(folder, IMAGES), { size: 4, channels: 3 });
    assertEquals(data.labels, []);
    const { images, labels } = await data.batch(Int32Array.of(0));
    assertEquals(labels, Int32Array.of(0));
    const grey = [0, 0, 0, 0, 0, 0, 255, 0, 0, 51, 204, 0, 0, 0, 0, 0].map(pixel);
    assertEquals(images, Float32Array.from(grey.flatMap((value) => [value, value, value])));
    for (const size of [1, 3, 0, 2.5, 1e9]) {
      await assertRejects(
        () => openDataset(join(folder, IMAGES), { size }),
        RangeError,
        `size ${size}`,
      );
    }
  }));

Deno.test("batch() refuses indices that are not there", () =>
  inTemporary({ [IMAGES]: three }, async (folder) => {
    const data = await openDataset(join(folder, IMAGES));
    for (const index of [-1, 3, 0.5, NaN]) {
      await assertRejects(() => data.batch([0, index]), RangeError, `Cannot take image ${index}`);
    }
  }));

Deno.test("openDataset() reads gzipped IDX files", () =>
  inTemporary({
    [`${IMAGES}.gz`]: gzipSync(three),
    [`${LABELS}.gz`]: gzipSync(idx([3], [0, 1, 1])),
  }, async (folder) => {
    const data = await openDataset(join(folder, `${IMAGES}.gz`));
    assertEquals((await data.batch([2])).labels, Int32Array.of(1));
    assertEquals(data.labels, ["0", "1"]);
  }));

Deno.test("openDataset() refuses IDX files cut at any byte", () =>
  inTemporary({}, async (folder) => {
    const path = join(folder, IMAGES);
    const zipped = `${path}.gz`;
    for (let end = 0; end < three.length; end++) {
      await Deno.writeFile(path, three.subarray(0, end));
      await assertRejects(() => openDataset(path), SyntaxError, "as IDX");
    }
    const gz = gzipSync(three);
    for (let end = 2; end < gz.length; end++) {
      await Deno.writeFile(zipped, gz.subarray(0, end));
      await assertRejects(() => openDataset(zipped), SyntaxError, "as IDX");
    }
  }));

const badIdx: [string, Uint8Array, string][] = [
  ["another magic number", Uint8Array.of(0, 0, 0x0d, 3, ...three.subarray(4)), "magic number"],
  ["labels for images", idx([12], three.subarray(0, 12)), "magic number"],
  ["a byte too many", Uint8Array.of(...three, 0), "takes 28 bytes, but it has 29"],
  ["no images", idx([0, 2, 2], []), "empty"],
  ["absurd sides", idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []), "takes"],
  ["wide images", idx([1, 1, 5000], new Uint8Array(5000)), "too large"],
];
for (const [what, bytes, why] of badIdx) {
  Deno.test(`openDataset() refuses IDX files with ${what}`, () =>
    inTemporary({ [IMAGES]: bytes, [`${IMAGES}.gz`]: gzipSync(bytes) }, async (folder) => {
      await assertRejects(() => openDataset(join(folder, IMAGES)), SyntaxError, why);
      await assertRejects(() => openDataset(join(folder, `${IMAGES}.gz`)), SyntaxError);
    }));
}

Deno.test("openDataset() refuses as many labels as do not fit", () =>
  inTemporary({ [IMAGES]: three, [LABELS]: idx([2], [0, 1]) }, async (folder) => {
    await assertRejects(() => openDataset(folder), SyntaxError, "3 images, but");
  }));

Deno.test("openDataset() does not inflate a gzip bomb", () =>
  inTemporary({
    "a-idx3.gz": gzipSync(idx([1000, 1000, 1000], new Uint8Array(10))),
    "b-idx3.gz": gzipSync(idx([1, 2, 2], new Uint8Array(50_000_000))),
  }, async (folder) => {
    const open = (name: string) => openDataset(join(folder, name));
    await assertRejects(() => open("a-idx3.gz"), SyntaxError, "cannot hold");
    await assertRejects(() => open("b-idx3.gz"), SyntaxError, "holds more than");
  }));

const bytes12 = Uint8Array.from({ length: 12 }, (_, i) => i * 20);

for (const level of [0, 6] as const) {
  Deno.test(`openDataset() reads npz files of level ${level}`, () =>
    inTemporary({
      "a.npz": zipSync({
        "arr_0.npy": npy("|u1", [2, 1, 2, 3], bytes12),
        "arr_1.npy": npy("<i8", [2], BigInt64Array.of(4n, 1n)),
      }, { level }),
      "b.npz": zipSync({
        "x_train.npy": npy("<f4", [2, 2, 1], Float32Array.of(-1, 0.5, 0, 1)),
        "y_train.npy": npy("<i4", [2, 1], Int32Array.of(0, 1)),
        "x_test.npy": npy("|u1", [1, 2, 1], Uint8Array.of(0, 255)),
      }, { level }),
    }, async (folder) => {
      const a = await openDataset(join(folder, "a.npz"));
      assertEquals([a.length, a.height, a.width, a.channels, a.labels.length], [2, 1, 2, 3, 5]);
      const { images, labels } = await a.batch([1]);
      assertEquals(images, Float32Array.from(bytes12.subarray(6), pixel));
      assertEquals(labels, Int32Array.of(1));
      const b = await openDataset(join(folder, "b.npz"));
      assertEquals((await b.batch([0])).images, Float32Array.of(-1, 0.5));
      const test = await openDataset(join(folder, "b.npz"), { split: "test", size: 2 }).catch(
        String,
      );
      assertEquals(typeof test, "string"); // 1x2 pads to no 2x2
      const plain = await openDataset(join(folder, "b.npz"), { split: "test" });
      assertEquals((await plain.batch([0])).images, Float32Array.of(-1, 1));
      await assertRejects(
        () => openDataset(join(folder, "a.npz"), { split: "test" }),
        RangeError,
        "it has none",
      );
      await assertRejects(
        () => openDataset(join(folder, "a.npz"), { channels: 1 }),
        RangeError,
        "in color",
      );
    }));
}

const badNpz: [string, Record<string, Uint8Array>, string][] = [
  ["no images", { "z.npy": npy("|u1", [1], bytes12.subarray(0, 1)) }, "it has z, not arr_0"],
  ["another shape", { "x.npy": npy("|u1", [12], bytes12) }, "its shape is [12]"],
  ["four channels", { "x.npy": npy("|u1", [1, 1, 3, 4], bytes12) }, "its shape is [1, 1, 3, 4]"],
  ["integer images", { "x.npy": npy("<i4", [1, 3, 1], bytes12) }, "must be uint8 or float32"],
  [
    "pixels from 0 to 1",
    { "x.npy": npy("<f4", [1, 2, 1], Float32Array.of(0, 1)) },
    "from 0 to 1; save uint8",
  ],
  ["NaN", { "x.npy": npy("<f4", [1, 2, 1], Float32Array.of(-1, NaN)) }, "NaN"],
  [
    "too few labels",
    { "x.npy": npy("|u1", [12, 1, 1], bytes12), "y.npy": npy("|u1", [1], bytes12.subarray(0, 1)) },
    "12 images, but y has shape [1]",
  ],
  [
    "negative labels",
    { "x.npy": npy("|u1", [1, 3, 4], bytes12), "y.npy": npy("<i4", [1], Int32Array.of(-1)) },
    "no label",
  ],
];
for (const [what, files, why] of badNpz) {
  Deno.test(`openDataset() refuses npz files with ${what}`, () =>
    inTemporary({ "a.npz": zipSync(files) }, async (folder) => {
      await assertRejects(() => openDataset(join(folder, "a.npz")), SyntaxError, why);
    }));
}

Deno.test("openDataset() refuses npz files cut at any byte, and survives any changed one", () =>
  inTemporary({}, async (folder) => {
    const path = join(folder, "a.npz");
    const bytes = zipSync({ "arr_0.npy": npy("|u1", [1, 3, 4], bytes12) });
    for (let end = 2; end < bytes.length; end++) {
      await Deno.writeFile(path, bytes.subarray(0, end));
      await assertRejects(() => openDataset(path), SyntaxError);
    }
    for (let at = 2; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 0xff;
      await Deno.writeFile(path, changed);
      try {
        await openDataset(path);
      } catch (error) {
        if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
      }
    }
  }));

Deno.test("openDataset() does not inflate an npz bomb", () =>
  inTemporary({}, async (folder) => {
    const path = join(folder, "a.npz");
    const bytes = zipSync({ "arr_0.npy": npy("|u1", [1, 1000, 1000], new Uint8Array(1e6)) });
    const view = new DataView(bytes.buffer);
    const entry = view.getUint32(bytes.length - 22 + 16, true);
    for (const [size, why] of [[0xfffffff0, "cannot hold"], [100, "more than"]] as const) {
      view.setUint32(entry + 24, size, true); // what the zip says it inflates to
      await Deno.writeFile(path, bytes);
      await assertRejects(() => openDataset(path), SyntaxError, why);
    }
  }));

Deno.test("parseNpy() reads arrays whose data is not aligned", () => {
  const bytes = npy("<f4", [2], Float32Array.of(1.5, -2));
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  assertEquals(parseNpy(shifted.subarray(1), "x"), { shape: [2], data: Float32Array.of(1.5, -2) });
});

Deno.test("parseNpy() refuses other types, orders and lengths", () => {
  const one = Uint8Array.of(1);
  const refuse = (bytes: Uint8Array<ArrayBuffer>, why: string) =>
    assertThrows(() => parseNpy(bytes, "x"), SyntaxError, why);
  refuse(npy(">f4", [1], new Float32Array(1)), 'its type is ">f4"');
  refuse(npy("toString", [1], one), "its type is");
  refuse(npy("|u1", [1, 1], one, "True"), "Fortran order");
  refuse(npy("|u1", [2], one), "takes 2 bytes, but 1 follow");
  refuse(npy("|u1", [99999999999, 99999999999, 0], one), "takes 0 bytes");
  const whole = npy("|u1", [1], one);
  for (let end = 0; end < whole.length; end++) refuse(whole.slice(0, end), "Cannot read x as npy");
});

const png = (bytes: number[], width = 2) =>
  encodePng(Uint8Array.from(bytes), { width, height: 1, channels: 1 });

Deno.test("openDataset() takes sub-folders as classes", () =>
  inTemporary({
    "dog/2.png": png([2, 2]),
    "cat/deep/1.png": png([1, 1]),
    "cat/0.png": png([0, 0]),
    "cat/.hidden.png": png([9, 9]),
    "dog/notes.txt": new Uint8Array(3),
    "none/readme": new Uint8Array(3),
  }, async (folder) => {
    const data = await openDataset(folder);
    assertEquals([data.length, data.height, data.width, data.channels], [3, 1, 2, 1]);
    assertEquals(data.labels, ["cat", "dog"]);
    for (let again = 0; again < 2; again++) { // the second time from the cache
      const { images, labels } = await data.batch([2, 0, 1]);
      assertEquals(labels, Int32Array.of(1, 0, 0));
      assertEquals(images, Float32Array.from([2, 2, 0, 0, 1, 1], pixel));
    }
    await assertRejects(() => data.batch([3]), RangeError, "Cannot take image 3");
  }));

Deno.test("openDataset() follows links to classes", () =>
  inTemporary({ "all/dog/1.png": png([1, 1]) }, async (folder) => {
    await Deno.mkdir(join(folder, "some"));
    await Deno.symlink(join(folder, "all", "dog"), join(folder, "some", "wolf"));
    assertEquals((await openDataset(join(folder, "some"))).labels, ["wolf"]);
  }));

Deno.test("openDataset() takes train and test folders as splits", () =>
  inTemporary({ "train/a.png": png([1, 1]), "test/b.png": png([2, 2]) }, async (folder) => {
    assertEquals((await openDataset(folder)).labels, []);
    const { images } = await (await openDataset(folder, { split: "test" })).batch([0]);
    assertAlmostEquals(images[0]!, pixel(2));
  }));

Deno.test("openDataset() names the image that is damaged or of another size", () =>
  inTemporary({
    "a.png": png([1, 1]),
    "b.png": png([1, 1]).subarray(0, 60),
    "c.png": png([1, 1, 1], 3),
  }, async (folder) => {
    const data = await openDataset(folder);
    await assertRejects(() => data.batch([0, 1]), SyntaxError, "b.png as PNG");
    await assertRejects(() => data.batch([2]), SyntaxError, "c.png: it is 3x1, but the first");
  }));

Deno.test("openDataset() refuses folders without images or with unclear classes", () =>
  inTemporary(
    { "a/x.txt": new Uint8Array(1), "b/1.png": png([1, 1]), "b/c/2.png": png([1, 1]) },
    async (folder) => {
      await assertRejects(() => openDataset(join(folder, "a")), RangeError, "holds no images");
      await assertRejects(() => openDataset(join(folder, "b")), RangeError, "beside sub-folders");
      await assertRejects(() => openDataset(folder, { split: "test" }), RangeError, "it has none");
      await assertRejects(() => openDataset(join(folder, "z")), Deno.errors.NotFound, "give mnist");
      await assertRejects(
        () => openDataset(join(folder, "a", "x.txt")),
        SyntaxError,
        "neither an IDX nor an npz file",
      );
    },
  ));
