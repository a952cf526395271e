import { assertAlmostEquals, assertEquals } from "@std/assert";
import { pillowBicubic, preprocess, resample } from "../../evaluation/resize.ts";
import expected from "../fixtures/evaluation/expected.json" with { type: "json" };
import { words } from "./_formula.ts";

/** Where the fixture has values of a picture of so many. */
const places = (size: number) => Array.from(words(200, 99), (word) => word % size);

for (const wanted of expected.resized) {
  const { height, width } = wanted;
  const bytes = Float32Array.from(words(height * width * 3, 40), (word) => word >>> 24);
  for (const kind of ["fid", "clean-fid"] as const) {
    Deno.test(`preprocess() of ${width}x${height} is that of ${kind}`, () => {
      const { values, shape } = preprocess({ values: bytes, shape: [1, height, width, 3] }, kind);
      assertEquals(shape, [1, 299, 299, 3]);
      places(values.length).forEach((place, i) =>
        assertAlmostEquals(values[place]!, wanted[kind][i]!, 2e-3, `value ${place}`)
      );
    });
  }
}

Deno.test("resample() keeps images apart and what is plain as it is", () => {
  const values = Float32Array.from({ length: 2 * 5 * 4 }, (_, i) => i < 20 ? 7 : 9);
  const { values: out } = resample({ values, shape: [2, 5, 4, 1] }, 3, 8, pillowBicubic);
  assertEquals(out.length, 48);
  out.forEach((value, i) => assertAlmostEquals(value, i < 24 ? 7 : 9, 1e-5));
});
