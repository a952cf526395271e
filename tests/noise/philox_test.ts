import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { philox, philoxAt, resumePhilox } from "../../noise/philox.ts";
import type { PhiloxState } from "../../noise/stream.ts";

const ONES = 0xffffffff;

/** Tens of thousands of normals of one stream, and the bound of five standard errors. */
const COUNT = 200_000;
const BOUND = 5 / Math.sqrt(COUNT);

const mean = (values: ArrayLike<number>, of = (x: number) => x) =>
  Array.prototype.reduce.call<
    ArrayLike<number>,
    [(sum: number, x: number) => number, number],
    number
  >(
    values,
    (sum, x) => sum + of(x),
    0,
  ) / values.length;

Deno.test("philox() matches the known answers", () => { // kat_vectors of Random123
  assertEquals(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  assertEquals(
    philox([ONES, ONES, ONES, ONES], [ONES, ONES]),
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  );
  assertEquals(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

Deno.test("philoxAt() uses the seed as key and block, step and stream as counter", () => {
  const stream = philoxAt(0x299f31d0a4093822n, 7, 9);
  stream.uniform(1); // block 0
  const words = philox([1, 9, 7, 0], [0xa4093822, 0x299f31d0]);
  assertEquals([...stream.uniform(4)], words.map((word) => (word >>> 8) * 2 ** -24));
  const late = resumePhilox({ kind: "philox", seed: "5", stream: 7, step: 9, block: 2 ** 32 + 3 });
  const [word] = philox([3, 9, 7, 1], [5, 0]);
  assertEquals(late.uniform(1)[0], (word >>> 8) * 2 ** -24);
});

Deno.test("philoxAt() draws normals as Box-Muller pairs", () => {
  const [a, b] = philox([0, 0, 0, 0], [3, 0]);
  const radius = Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
  const angle = 2 * Math.PI * b / 2 ** 32;
  const expected = [Math.fround(radius * Math.cos(angle)), Math.fround(radius * Math.sin(angle))];
  assertEquals([...philoxAt(3).normal(2)], expected);
});

Deno.test("philoxAt() draws a finite normal from a word that is 0", () => {
  const block = 3230741590; // the first whose third word is 0
  assertEquals(philox([block, 0, 0, 0], [0, 0])[2], 0);
  const stream = resumePhilox({ kind: "philox", seed: "0", stream: 0, step: 0, block });
  const [, , x = NaN, y = NaN] = stream.normal(4);
  assertAlmostEquals(Math.hypot(x, y), Math.sqrt(66 * Math.LN2), 1e-6);
});

Deno.test("philoxAt() draws numbers that do not depend on how many are drawn with them", () => {
  const [many, uniforms] = [philoxAt(1).normal(10_001), philoxAt(1).uniform(10_001)];
  for (const count of [0, 1, 2, 3, 5, 4095, 4096, 4097, 9999]) {
    assertEquals(philoxAt(1).normal(count), many.slice(0, count));
    assertEquals(philoxAt(1).uniform(count), uniforms.slice(0, count));
  }
});

Deno.test("philoxAt() draws normals with the moments of N(0, 1)", () => {
  const x = philoxAt(12345).normal(COUNT);
  assertAlmostEquals(mean(x), 0, BOUND);
  assertAlmostEquals(mean(x, (v) => v ** 2), 1, BOUND * Math.sqrt(2));
  assertAlmostEquals(mean(x, (v) => v ** 3), 0, BOUND * Math.sqrt(15));
  assertAlmostEquals(mean(x, (v) => v ** 4), 3, BOUND * Math.sqrt(96));
  assertAlmostEquals(mean(x, (v) => Math.abs(v) > 3 ? 1 : 0), 0.0026998, BOUND * 0.052);
  assertAlmostEquals(mean(x.map((v, i) => v * (x[i + 1] ?? 0))), 0, BOUND); // neighbors
});

Deno.test("philoxAt() draws independent numbers for other seeds, streams and steps", () => {
  const base = philoxAt(1, 1, 1).normal(COUNT);
  for (const other of [philoxAt(2, 1, 1), philoxAt(1, 2, 1), philoxAt(1, 1, 2)]) {
    const x = other.normal(COUNT);
    assertAlmostEquals(mean(x.map((v, i) => v * (base[i] ?? 0))), 0, BOUND);
  }
  assertNotEquals(philoxAt(1).normal(4), philoxAt(1n + (1n << 32n)).normal(4));
});

Deno.test("philoxAt() draws every integer equally often", () => {
  const counts = new Float64Array(7);
  for (const value of philoxAt(5).integers(70_000, 7)) counts[value]! += 1;
  const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  assert(chiSquare < 22.5, `chi-square ${chiSquare}`); // 6 degrees of freedom, p = 0.001
});

Deno.test("philoxAt() skips words that would bias integers", () => {
  const below = 3 * 2 ** 30; // of four words one is at or above the limit
  const words = philox([0, 0, 0, 0], [17, 0]).concat(philox([1, 0, 0, 0], [17, 0]));
  const kept = words.filter((word) => word < below);
  assert(kept.length < words.length, "the seed must show the skipping");
  assertEquals([...philoxAt(17).integers(kept.length, below)], kept);
  assertEquals(philoxAt(17).integers(2, 2 ** 32), Uint32Array.from(words.slice(0, 2)));
  assertEquals(philoxAt(17).integers(3, 1), Uint32Array.of(0, 0, 0));
});

Deno.test("philoxAt() permutes, every order equally often", () => {
  const sorted = philoxAt(8).permutation(1000).toSorted();
  assertEquals(sorted, Uint32Array.from({ length: 1000 }, (_, i) => i));
  const orders: Record<string, number> = {};
  for (let step = 0; step < 6000; step++) {
    const order = philoxAt(8, 0, step).permutation(3).join();
    orders[order] = (orders[order] ?? 0) + 1;
  }
  const chiSquare = Object.values(orders).reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
  assertEquals(Object.keys(orders).length, 6);
  assert(chiSquare < 20.5, `chi-square ${chiSquare}`); // 5 degrees of freedom, p = 0.001
  assertEquals(philoxAt(8).permutation(0).length, 0);
});

Deno.test("resumePhilox() continues exactly", () => {
  const stream = philoxAt(2n ** 64n - 1n, 3, 4);
  stream.normal(5);
  stream.integers(9, 10);
  const state: PhiloxState = JSON.parse(JSON.stringify(stream.state()));
  const resumed = resumePhilox(state);
  assertEquals(resumed.normal(33), stream.normal(33));
  assertEquals(resumed.permutation(9), stream.permutation(9));
  assertEquals(resumed.state(), stream.state());
});

Deno.test("philoxAt() rejects numbers out of range", () => {
  assertThrows(
    () => philoxAt(1, -1),
    RangeError,
    "Cannot use stream -1: it must be an integer between 0 and 2^32 - 1",
  );
  assertThrows(() => philoxAt(1, 0, 2 ** 32), RangeError, "Cannot use step 4294967296");
  assertThrows(() => philoxAt(1.5), RangeError, "a seed must be an integer");
  assertThrows(() => philoxAt(1).integers(1, 2 ** 32 + 1), RangeError, "below 4294967297");
  const state: PhiloxState = { kind: "philox", seed: "1", stream: 0, step: 0, block: -1 };
  assertThrows(() => resumePhilox(state), RangeError, "Cannot start at block -1");
  assertThrows(
    () => resumePhilox({ ...state, block: 0, seed: "x" }),
    RangeError,
    'Cannot use "x" as a seed',
  );
});
