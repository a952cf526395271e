import { assert, assertAlmostEquals, assertRejects } from "@std/assert";
import { solve } from "../../evaluation/runge_kutta.ts";

/** A pendulum of two frequencies, whose solution is known. */
const swing = (_: number, y: Float64Array) =>
  Promise.resolve(Float64Array.from([y[1]!, -y[0]!, 3 * y[3]!, -3 * y[2]!]));

Deno.test("solve() is as exact as it is told to be, forwards and backwards", async () => {
  for (const end of [5, -5]) {
    const errors = [];
    for (const tolerance of [1e-4, 1e-7, 1e-10]) {
      let calls = 0;
      const y = await solve(
        (t, y) => (calls++, swing(t, y)),
        [0, end],
        Float64Array.from([0, 1, 0, 1]),
        { relative: tolerance, absolute: tolerance },
      );
      const error = Math.max(
        Math.abs(y[0]! - Math.sin(end)),
        Math.abs(y[2]! - Math.sin(3 * end)),
      );
      assert(error < 100 * tolerance, `${error} at ${tolerance}`);
      errors.push({ error, calls });
    }
    // Of fifth order: 1e6 times as exact takes about sixteen times the calls.
    const [coarse, , fine] = errors;
    assert(fine!.calls < 25 * coarse!.calls, `${coarse!.calls} and ${fine!.calls} calls`);
  }
});

Deno.test("solve() meets the interval's end, and tells how far it is", async () => {
  const shares: number[] = [];
  const y = await solve(
    (t) => Promise.resolve(Float64Array.from([Math.cos(t)])),
    [1, 3],
    Float64Array.from([0]),
    { relative: 1e-8, absolute: 1e-8 },
    (share) => shares.push(share),
  );
  assertAlmostEquals(y[0]!, Math.sin(3) - Math.sin(1), 1e-7);
  assertAlmostEquals(shares.at(-1)!, 1, 1e-12);
  assert(shares.every((share, i) => share > (shares[i - 1] ?? 0)));
});

Deno.test("solve() gives up where the solution ceases to be", async () => {
  // y = 1 / (1 - t)
  await assertRejects(
    () =>
      solve(
        (_, y) => Promise.resolve(y.map((value) => value ** 2)),
        [0, 2],
        Float64Array.from([1]),
        { relative: 1e-6, absolute: 1e-6 },
      ),
    RangeError,
    "no step is small enough",
  );
});
