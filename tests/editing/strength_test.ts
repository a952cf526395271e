import { assertEquals, assertThrows } from "@std/assert";
import { begunAt } from "../../editing/strength.ts";
import { linearPath } from "../pipeline/_closed_form.ts";

Deno.test("begunAt() skips the steps that diffusers' get_timesteps() skips", () => {
  for (const steps of [1, 2, 10, 25, 50, 999]) {
    const path = linearPath(steps);
    for (const strength of [0.1, 0.29, 0.58, 0.6, 0.999, 1]) {
      const initial = Math.min(Math.trunc(steps * strength), steps); // init_timestep
      if (initial === 0) {
        assertThrows(() => begunAt(path, strength), RangeError, "less than one step is left");
      } else assertEquals(begunAt(path, strength), path.slice(Math.max(steps - initial, 0)));
    }
  }
  assertEquals(begunAt(linearPath(50), 0.58).length - 1, 28); // int(28.999999999999996) there, too
});

Deno.test("begunAt() refuses a strength out of range", () => {
  for (const strength of [0, -0.1, 1.01, NaN]) {
    assertThrows(() => begunAt(linearPath(4), strength), RangeError, "above 0 and at most 1");
  }
});
