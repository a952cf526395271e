import { assertEquals, assertThrows } from "@std/assert";
import { listOf, rangeOf } from "../../sweep/range.ts";

Deno.test("rangeOf() counts from one end to the other, both included where the step leads there", () => {
  assertEquals(rangeOf("1..4"), ["1", "2", "3", "4"]);
  assertEquals(rangeOf("1..10/3"), ["1", "4", "7", "10"]);
  assertEquals(rangeOf("1..9/3"), ["1", "4", "7"]);
  assertEquals(rangeOf("3..1"), ["3", "2", "1"]);
  assertEquals(rangeOf("-1..1/0.5"), ["-1", "-0.5", "0", "0.5", "1"]);
  assertEquals(rangeOf("5..5"), ["5"]);
});

Deno.test("rangeOf() has no traces of binary fractions", () => {
  assertEquals(rangeOf("0..0.3/0.1"), ["0", "0.1", "0.2", "0.3"]);
  assertEquals(rangeOf("0..1/0.1").at(-1), "1");
});

Deno.test("rangeOf() leaves alone what is no range", () => {
  for (const text of ["7", "model", "7x5+1x15", "linear:1:7", "../mine.ts", "a..b", "1...3"]) {
    assertEquals(rangeOf(text), [text]);
  }
});

Deno.test("rangeOf() refuses ranges that never end or are absurd", () => {
  assertThrows(() => rangeOf("1..9/0"), RangeError, "its step must be a number above 0");
  assertThrows(() => rangeOf("1..9/-2"), RangeError, "its step must be a number above 0");
  assertThrows(() => rangeOf("1..9/x"), RangeError, "its step must be a number above 0");
  assertThrows(
    () => rangeOf("1..1e9"),
    RangeError,
    "Cannot use the range 1..1e9: it has 1000000000 values, a sweep at most 400 cells",
  );
});

Deno.test("listOf() mixes values and ranges", () => {
  assertEquals(listOf("1..3, 5,10..30/10"), ["1", "2", "3", "5", "10", "20", "30"]);
});
