import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import type { Bitmap } from "../../images/pixels.ts";
import { makeSheet } from "../../images/sheet.ts";

const tile = (value: number, width = 2, height = 1): Bitmap => ({
  pixels: new Uint8Array(width * height).fill(value),
  width,
  height,
  channels: 1,
});

Deno.test("makeSheet() lays images out in reading order", () => {
  const sheet = makeSheet([tile(1), tile(2), tile(3)], { columns: 2, padding: 1, background: 9 });
  assertEquals([sheet.width, sheet.height], [7, 5]);
  assertEquals([...sheet.pixels], [
    ...[9, 9, 9, 9, 9, 9, 9],
    ...[9, 1, 1, 9, 2, 2, 9],
    ...[9, 9, 9, 9, 9, 9, 9],
    ...[9, 3, 3, 9, 9, 9, 9],
    ...[9, 9, 9, 9, 9, 9, 9],
  ]);
});

Deno.test("makeSheet() is about square with full rows unless told otherwise", () => {
  const sides = (count: number, columns?: number) => {
    const tiles = Array.from({ length: count }, () => tile(1, 10, 10));
    const { width, height } = makeSheet(tiles, { columns, padding: 0 });
    return [width / 10, height / 10];
  };
  assertEquals(sides(2), [2, 1]);
  assertEquals(sides(4), [2, 2]);
  assertEquals(sides(5), [3, 2]);
  assertEquals(sides(7), [3, 3]);
  assertEquals(sides(10), [5, 2]);
  assertEquals(sides(12), [4, 3]);
  assertEquals(sides(100), [10, 10]);
  assertEquals(sides(5, 1), [1, 5]);
  assertEquals(sides(3, 8), [3, 1]);
});

Deno.test("makeSheet() leaves a single image alone", () => {
  const one = tile(1);
  assertStrictEquals(makeSheet([one]), one);
});

Deno.test("makeSheet() refuses nothing, mixtures and bad options", () => {
  assertThrows(() => makeSheet([]), RangeError, "no images");
  assertThrows(() => makeSheet([tile(1), tile(1, 3)]), RangeError, "different images");
  assertThrows(() => makeSheet([tile(1)], { columns: 0 }), RangeError, "columns");
  assertThrows(() => makeSheet([tile(1)], { padding: -1 }), RangeError, "padding");
});
