import { assert, assertEquals, assertThrows } from "@std/assert";
import { slerp } from "../../editing/slerp.ts";
import { noiseOf } from "../pipeline/_closed_form.ts";

const norm = (values: Float32Array) => Math.hypot(...values);

Deno.test("slerp() ends at its ends and keeps the norm between them", () => {
  const noise = noiseOf(2, [16, 16, 1], 7).draw();
  const [a, b] = [noise.slice(0, 256), noise.slice(256)];
  assertEquals([slerp(a, b, 0), slerp(a, b, 1)], [a, b]);
  for (const share of [0.1, 0.5, 0.9]) {
    const between = norm(slerp(a, b, share));
    const straight = norm(a.map((value, i) => (1 - share) * value + share * (b[i] ?? NaN)));
    const [low, high] = [Math.min(norm(a), norm(b)), Math.max(norm(a), norm(b))];
    assert(between > 0.98 * low && between < 1.02 * high, `${between} at ${share}`);
    assert(straight < between);
  }
});

Deno.test("slerp() is a straight line where there is no arc", () => {
  const a = Float32Array.of(1, 2);
  assertEquals(slerp(a, a, 0.3), a);
  assertEquals(slerp(a, Float32Array.of(2, 4), 0.5), Float32Array.of(1.5, 3));
  assertThrows(() => slerp(a, Float32Array.of(1), 0.5), RangeError, "different sizes");
});
