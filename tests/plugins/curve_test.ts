import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import cfg from "../../guidance/cfg.ts";
import { parseCurve } from "../../plugins/curve.ts";
import { checkOptions, optionsAt } from "../../plugins/options.ts";

const along = (text: string, steps: number) =>
  Array.from({ length: steps }, (_, i) => parseCurve(text)?.at(i / steps));

Deno.test("parseCurve() reads a list of steps, stretched to the path", () => {
  const expected = [...Array(5).fill(7), ...Array(15).fill(1)];
  assertEquals(along("7x5+1x15", 20), expected);
  assertEquals(along("7x5+1x15", 40), expected.flatMap((value) => [value, value]));
  assertEquals(along("1+2.5+-3", 3), [1, 2.5, -3]);
  for (const steps of [7, 49, 97]) {
    const text = Array.from({ length: steps }, (_, i) => i).join("+");
    assertEquals(along(text, steps), Array.from({ length: steps }, (_, i) => i));
  }
});

Deno.test("parseCurve() reads linear and cosine from one value to another", () => {
  assertEquals(along("linear:1:7", 3), [1, 3, 5]);
  for (const [i, value] of along("cosine:7:1", 4).entries()) {
    assertAlmostEquals(value ?? NaN, 4 + 3 * Math.cos(Math.PI * i / 4), 1e-12);
  }
});

Deno.test("parseCurve() refuses what is no number", () => {
  for (const text of ["", "7x", "x5", "7x0", "linear:1", "linear:1:a", "7x5+", "quadratic:1:2"]) {
    assertEquals(parseCurve(text), undefined, text);
  }
});

Deno.test("an option that varies has the value of its step, and checks each", () => {
  const { options } = cfg;
  const values = checkOptions("guidance", "cfg", options, { scale: "7x1+2x1" });
  assertEquals([0, 0.5].map((share) => optionsAt(options, values, share).scale), [7, 2]);
  assertThrows(
    () => checkOptions("guidance", "cfg", options, { scale: "7x5+-1x5" }),
    RangeError,
    "scale must be at least 0",
  );
  assertThrows(
    () => checkOptions("guidance", "cfg", options, { scale: "many" }),
    RangeError,
    "scale must be a number, or as 7x5+1x15",
  );
});
