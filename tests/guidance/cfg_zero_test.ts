import { assert } from "@std/assert";
import cfgZero from "../../guidance/cfg_zero.ts";
import { fromX0 } from "../../plugin.ts";
import { testGuidance } from "../laws.ts";
import { distance } from "../pipeline/_closed_form.ts";
import { guideOf, row, valuesOf } from "./_guide.ts";

testGuidance(cfgZero, {
  settings: [{ scale: 6, zero: 0 }, { zero: 0.5 }],
  neutral: { scale: 1, zero: 0 },
});

const [X, LABELLED, FREE] = [[1, -2, 0.5], [0.5, -1, 0.25], [0.25, 1, -0.5]];
const LEVELS = [
  { t: 700, alpha: 0.3, sigma: 0.7 }, // of a flow: the velocity is eps - x0
  { t: 700, alpha: 0.6, sigma: 0.8 },
];

async function apply(scale: number, zero: number, share: number, at = LEVELS[0]) {
  const x = row(...X ?? []);
  const [ours, theirs] = [LABELLED, FREE].map((x0) =>
    fromX0(x, at ?? { t: 0, alpha: 1, sigma: 1 }, row(...x0 ?? []))
  );
  if (ours === undefined || theirs === undefined || at === undefined) {
    throw new TypeError("No halves");
  }
  const unconditional = () => Promise.resolve(theirs);
  const made = await cfgZero.guide(
    ours,
    guideOf({ x, at, share, unconditional, options: { scale, zero } }),
  );
  return [ours, theirs, made].map(({ x0, eps }) => {
    const clean = valuesOf(x0);
    return valuesOf(eps).map((noise, i) => noise - (clean[i] ?? NaN));
  });
}

const dot = (a: readonly number[] = [], b: readonly number[] = []) =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);

Deno.test("cfg_zero() is Algorithm 1 of its paper, on velocities", async () => {
  for (const at of LEVELS) {
    const [labelled = [], free = [], made = []] = await apply(5, 0.1, 0.1, at);
    const fit = dot(labelled, free) / dot(free, free);
    const expected = labelled.map((v, i) => (1 - 5) * fit * (free[i] ?? NaN) + 5 * v);
    assert(distance(made, expected) < 1e-4);
  }
});

Deno.test("cfg_zero() has no velocity in the first steps", async () => {
  for (const at of LEVELS) {
    const [, , made = []] = await apply(5, 0.1, 0.09, at);
    assert(distance(made, [0, 0, 0]) < 1e-6);
  }
});
