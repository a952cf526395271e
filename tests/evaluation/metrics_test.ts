import { assert, assertAlmostEquals } from "@std/assert";
import { frechetDistance } from "../../evaluation/algebra/frechet.ts";
import { gaussianOf } from "../../evaluation/algebra/gaussian.ts";
import { distancesOn } from "../../evaluation/algebra/distances.ts";
import { splitScores } from "../../evaluation/metrics/inception_score.ts";
import { squaredMmd } from "../../evaluation/metrics/kid.ts";
import { type Manifolds, manifolds } from "../../evaluation/metrics/prdc.ts";
import { openEngine } from "../../engines/mod.ts";
import { rowsOf } from "../../evaluation/algebra/matrix.ts";
import { features } from "./_formula.ts";
import expected from "../fixtures/evaluation/expected.json" with { type: "json" };

/** Agreement with the other implementations, relative. */
const RELATIVE = 1e-3;

function assertNear(actual: number, wanted: number, name: string): void {
  assertAlmostEquals(actual, wanted, Math.abs(wanted) * RELATIVE + 1e-12, name);
}

for (const [name, wanted] of Object.entries(expected.cases)) {
  const { rows, other, columns, shift } = wanted;
  const fake = features(rows, columns, 10, shift);
  const real = features(other, columns, 20, 0);

  Deno.test(`FID of ${name} is that of torch-fidelity and pytorch-fid`, () => {
    const value = frechetDistance(gaussianOf(fake), gaussianOf(real));
    assertNear(value, wanted.fid["torch-fidelity"], "torch-fidelity");
    assertNear(value, wanted.fid["pytorch-fid"], "pytorch-fid");
  });

  Deno.test(`KID of ${name} is that of torch-fidelity`, () => {
    const size = Math.min(rows, other);
    const first = Uint32Array.from({ length: size }, (_, row) => row);
    assertNear(squaredMmd(rowsOf(fake, first), rowsOf(real, first)).value, wanted.kid, "MMD²");
  });

  Deno.test(`precision, recall, density and coverage of ${name} are those of prdc`, async () => {
    const engine = await openEngine("auto");
    const ks = Object.keys(wanted.prdc).map(Number);
    const found = await manifolds(real, fake, distancesOn(engine), ks);
    for (const [index, [k, figures]] of Object.entries(wanted.prdc).entries()) {
      for (const [figure, value] of Object.entries(figures)) {
        assertNear(found[index]![figure as keyof Manifolds], value, `${figure}, ${k} neighbors`);
      }
    }
    await engine.dispose();
  });
}

Deno.test("the inception score is that of torch-fidelity", () => {
  const logits = features(1000, 10, 30, 0);
  logits.values.forEach((value, i, all) => all[i] = 2 * value);
  for (
    const [splits, [mean = NaN, deviation = NaN]] of Object.entries(expected["inception score"])
  ) {
    const found = splitScores(logits, Number(splits));
    assertNear(found.mean, mean, `${splits} splits`);
    const root = Math.sqrt(Math.max(1, Number(splits) - 1)); // of a deviation, a standard error
    assertNear(found.error, deviation / root, `error of ${splits} splits`);
  }
});

Deno.test("the error of KID is the spread of KIDs of other images", () => {
  const found = Array.from(
    { length: 40 },
    (_, seed) =>
      squaredMmd(features(60, 8, 100 + 8 * seed, 0.3), features(60, 8, 104 + 8 * seed, 0)),
  );
  const mean = found.reduce((sum, { value }) => sum + value, 0) / found.length;
  const variance = found.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / found.length;
  const told = found.reduce((sum, { error }) => sum + error ** 2, 0) / found.length;
  assert(told / variance > 0.6 && told / variance < 1.7, `${told / variance}`);
});
