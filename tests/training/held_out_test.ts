import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { openHalves } from "../../training/data/held_out.ts";

/** An IDX array of bytes. */
function idx(shape: number[], data: number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x800 + shape.length);
  shape.forEach((side, i) => view.setUint32(4 + 4 * i, side));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

/** A folder in MNIST's form, of images of one pixel whose label is the remainder by `classes`. */
async function withDigits(
  splits: Readonly<Record<string, { count: number; classes: number; edge?: number }>>,
  check: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, { count, classes, edge = 1 }] of Object.entries(splits)) {
      const indices = Array.from({ length: count }, (_, index) => index);
      const pixels = indices.flatMap((index) => new Array(edge ** 2).fill(index));
      const write = (kind: string, bytes: Uint8Array) =>
        Deno.writeFile(join(folder, `${name}-${kind}-ubyte`), bytes);
      await write("images-idx3", idx([count, edge, edge], pixels));
      await write("labels-idx1", idx([count], indices.map((index) => index % classes)));
    }
    await check(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openHalves() takes the test split where there is one", () =>
  withDigits(
    { train: { count: 30, classes: 3 }, t10k: { count: 4, classes: 2 } },
    async (folder) => {
      const { train, test, divided } = await openHalves(folder, {});
      assertEquals([train.length, test.length, divided], [30, 4, false]);
      assertEquals(train.labels, ["0", "1", "2"]);
    },
  ));

Deno.test("openHalves() holds every twentieth image out where there is no test split", () =>
  withDigits({ train: { count: 41, classes: 7 } }, async (folder) => {
    const { train, test, divided } = await openHalves(folder, {});
    assertEquals([train.length, test.length, divided], [39, 2, true]);
    const pixels = async (data: typeof train, indices: number[]) =>
      Array.from((await data.batch(indices)).images, (pixel) => Math.round((pixel + 1) * 127.5));
    assertEquals(await pixels(test, [0, 1]), [19, 39]);
    assertEquals(await pixels(train, [0, 18, 19, 38]), [0, 18, 20, 40]);
    assertEquals([...(await test.batch([1])).labels], [39 % 7]);
    await assertRejects(() => test.batch([2]), RangeError);
  }));

Deno.test("openHalves() refuses too few images, and a test split of another kind", async () => {
  await withDigits({ train: { count: 19, classes: 2 } }, async (folder) => {
    await assertRejects(() => openHalves(folder, {}), RangeError, "it has 19, at least 20");
  });
  await withDigits(
    { train: { count: 30, classes: 2 }, t10k: { count: 30, classes: 3 } },
    async (folder) => {
      await assertRejects(() => openHalves(folder, {}), RangeError, "its classes differ");
    },
  );
  await withDigits(
    { train: { count: 30, classes: 2, edge: 2 }, t10k: { count: 30, classes: 2, edge: 4 } },
    async (folder) => {
      await assertRejects(() => openHalves(folder, {}), RangeError, "its images are 4x4");
      const { test } = await openHalves(folder, { size: 4 });
      assertEquals([test.height, test.width], [4, 4]);
    },
  );
});
