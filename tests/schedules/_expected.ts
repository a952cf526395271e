import { assert, assertEquals } from "@std/assert";
import { readFixture } from "../_safetensors.ts";

/** The reference's schedules, in float64. */
const expected = readFixture("schedules/expected.safetensors");

/** Compares with a tensor of the reference: to 1e-10 of each value, and 1e-12 beside. */
export function assertClose(actual: ArrayLike<number>, name: string): void {
  const { data } = expected(name);
  assertEquals(actual.length, data.length, name);
  data.forEach((value, i) => {
    const difference = Math.abs(value - (actual[i] ?? NaN));
    assert(
      difference <= 1e-12 + 1e-10 * Math.abs(value),
      `${name}[${i}] is ${actual[i]}, not ${value}`,
    );
  });
}
