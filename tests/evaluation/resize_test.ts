import { assertAlmostEquals, assertEquals } from "@std/assert";
import { preprocess } from "../../evaluation/resize.ts";
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
