import { assertEquals, assertThrows } from "@std/assert";
import { exactSeed, imageSeeds, parseSeed, seedWords } from "../../noise/seed.ts";

Deno.test("imageSeeds() adds exactly, beyond 2^53 too, and wraps around at 2^64", () => {
  assertEquals(imageSeeds(7, 3), [7, 8, 9]);
  assertEquals(imageSeeds(7, 2, 100), [107, 108]);
  assertEquals(imageSeeds(2 ** 53 - 2, 3), [2 ** 53 - 2, 2 ** 53 - 1, 2n ** 53n]);
  assertEquals(imageSeeds(2n ** 64n - 2n, 3), [2n ** 64n - 2n, 2n ** 64n - 1n, 0]);
  assertEquals(imageSeeds(1, 0), []);
});

Deno.test("parseSeed() reads every seed exactly", () => {
  assertEquals(parseSeed("0"), 0);
  assertEquals(parseSeed("9007199254740993"), 9007199254740993n);
  assertEquals(parseSeed("18446744073709551615"), 2n ** 64n - 1n);
  for (const text of ["", "-1", "1.5", "1e3", "0x1", " 1", "18446744073709551616"]) {
    assertThrows(() => parseSeed(text), RangeError, "as a seed");
  }
});

Deno.test("seedWords() splits a seed into its halves", () => {
  assertEquals(seedWords(0x123456789abcdef0n), [0x9abcdef0, 0x12345678]);
  assertEquals(seedWords(2 ** 32), [0, 1]);
});

Deno.test("exactSeed() rejects what is no seed", () => {
  assertThrows(
    () => exactSeed(2 ** 53),
    RangeError,
    "Cannot use 9007199254740992 as a seed: a seed above 2^53 - 1 must be a bigint",
  );
  assertThrows(
    () => exactSeed(NaN),
    RangeError,
    "Cannot use NaN as a seed: a seed must be an integer",
  );
  assertThrows(
    () => exactSeed(-1n),
    RangeError,
    "Cannot use -1 as a seed: a seed must be between 0 and 2^64 - 1",
  );
  assertThrows(() => exactSeed(2n ** 64n), RangeError, "between 0 and 2^64 - 1");
});
