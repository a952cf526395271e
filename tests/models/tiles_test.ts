import { assert, assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import { inTiles, tileStarts } from "../../models/tiles.ts";
import { upsample } from "../../models/layers.ts";

Deno.test("tileStarts() covers a line with tiles of one length that share the overlap", () => {
  assertEquals(tileStarts(8, { tile: 8, overlap: 2 }), [0]);
  assertEquals(tileStarts(5, { tile: 8, overlap: 2 }), [0]);
  assertEquals(tileStarts(9, { tile: 8, overlap: 2 }), [0, 1]);
  for (let length = 9; length < 60; length++) {
    const starts = tileStarts(length, { tile: 8, overlap: 3 });
    assertEquals(starts.at(-1), length - 8);
    starts.slice(1).forEach((start, index) => assert(start - starts[index]! <= 5));
  }
});

/** Runs on the `cpu` backend and leaves no tensor. */
function test(name: string, run: () => Promise<void>): void {
  Deno.test(name, async () => {
    await tf.setBackend("cpu");
    const before = tf.memory().numTensors;
    await run();
    assertEquals(tf.memory().numTensors, before);
  });
}

async function differenceOf(a: tf.Tensor, b: tf.Tensor): Promise<number> {
  assertEquals(a.shape, b.shape);
  const [one, other] = [Array.from(await a.data()), await b.data()];
  return one.reduce((most, value, index) => Math.max(most, Math.abs(value - other[index]!)), 0);
}

for (const [height, width] of [[16, 16], [21, 9], [8, 30]] as const) {
  test(`inTiles() gives what a function of single pixels gives for ${height}×${width}`, async () => {
    const image = tf.randomNormal<tf.Rank.R4>([2, height, width, 3], 0, 1, "float32", 1);
    const shapes = new Set<string>();
    const tiled = await inTiles(
      image,
      (tile) => {
        shapes.add(String(tile.shape));
        return Promise.resolve(upsample(tile));
      },
      2,
      { tile: 8, overlap: 3 },
    );
    const whole = upsample(image);
    assert(await differenceOf(tiled, whole) < 1e-6);
    assertEquals([...shapes], ["2,8,8,3"]);
    tf.dispose([image, tiled, whole]);
  });
}

test("inTiles() shrinks, with tiles that begin where pixels of the answer do", async () => {
  const image = tf.randomNormal<tf.Rank.R4>([1, 24, 40, 2], 0, 1, "float32", 1);
  const shrink = (x: tf.Tensor4D) => tf.avgPool(x, 4, 4, "valid");
  const tiled = await inTiles(image, (tile) => Promise.resolve(shrink(tile)), 1 / 4, {
    tile: 16,
    overlap: 4,
  });
  const whole = shrink(image);
  assert(await differenceOf(tiled, whole) < 1e-6);
  tf.dispose([image, tiled, whole]);
});

test("inTiles() blends neighbors that disagree without a step", async () => {
  const image = tf.zeros<tf.Rank.R4>([1, 8, 24, 1]);
  let count = 0;
  const tiled = await inTiles(image, () => Promise.resolve(tf.fill([1, 8, 12, 1], count++)), 1, {
    tile: 12,
    overlap: 4,
  });
  const row = Array.from(await tiled.data()).slice(0, 24);
  assertEquals([row[0], row.at(-1)], [0, count - 1]);
  row.slice(1).forEach((value, index) => {
    const step = value - row[index]!;
    assert(step >= 0 && step <= 0.3, `it steps by ${step}`);
  });
  tf.dispose([image, tiled]);
});

test("inTiles() refuses an overlap of half a tile", async () => {
  const image = tf.zeros<tf.Rank.R4>([1, 8, 8, 1]);
  const run = () => inTiles(image, (tile) => Promise.resolve(tile), 1, { tile: 8, overlap: 4 });
  await assertRejects(run, RangeError, "from 1 to below 4");
  image.dispose();
});
