import { assertAlmostEquals, assertEquals } from "@std/assert";
import { pillowBicubic, resample } from "../../images/resample.ts";

Deno.test("resample() keeps images apart and what is plain as it is", () => {
  const values = Float32Array.from({ length: 2 * 5 * 4 }, (_, i) => i < 20 ? 7 : 9);
  const { values: out } = resample({ values, shape: [2, 5, 4, 1] }, 3, 8, pillowBicubic);
  assertEquals(out.length, 48);
  out.forEach((value, i) => assertAlmostEquals(value, i < 24 ? 7 : 9, 1e-5));
});
