import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { openEngine } from "../../engines/mod.ts";
import { factorOf } from "../../evaluation/algebra/cholesky.ts";
import { distancesOn } from "../../evaluation/algebra/distances.ts";
import { frechetDistance } from "../../evaluation/algebra/frechet.ts";
import { gaussianOf } from "../../evaluation/algebra/gaussian.ts";
import {
  type Features,
  type Matrix,
  product,
  transposed,
} from "../../evaluation/algebra/matrix.ts";
import { nearestOf, radii } from "../../evaluation/algebra/neighbors.ts";
import { intercept } from "../../evaluation/metrics/fid_infinity.ts";
import { features } from "./_formula.ts";

function assertMatrix(actual: Matrix, wanted: Matrix, tolerance: number): void {
  assertEquals([actual.rows, actual.columns], [wanted.rows, wanted.columns]);
  actual.values.forEach((value, i) => assertAlmostEquals(value, wanted.values[i]!, tolerance));
}

/** The product by its definition. */
function slowProduct(a: Matrix, b: Matrix): Matrix {
  const values = new Float64Array(a.rows * b.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) {
      for (let k = 0; k < a.columns; k++) {
        values[i * b.rows + j]! += a.values[i * a.columns + k]! * b.values[j * a.columns + k]!;
      }
    }
  }
  return { rows: a.rows, columns: b.rows, values };
}

Deno.test("product() is a bᵀ for any sizes, also deeper than a block", () => {
  for (const [rows, others, depth] of [[4, 8, 16], [5, 7, 3], [9, 4, 1030], [1, 1, 1]] as const) {
    const [a, b] = [features(rows, depth, 1, 0), features(others, depth, 2, 0.1)];
    assertMatrix(product(a, b), slowProduct(a, b), 1e-9);
    assertMatrix(product(a, a, true), slowProduct(a, a), 1e-9);
  }
});

Deno.test("gaussianOf() has the mean and the covariance of the definition", () => {
  const x = features(700, 5, 3, 1); // more rows than a block
  const { mean, covariance } = gaussianOf(x);
  const moved = { ...x, values: Float64Array.from(x.values, (value, i) => value - mean[i % 5]!) };
  assertAlmostEquals(moved.values.reduce((sum, value) => sum + value, 0), 0, 1e-9);
  const columns = transposed(moved);
  const wanted = slowProduct(columns, columns);
  assertMatrix(covariance, { ...wanted, values: wanted.values.map((sum) => sum / 699) }, 1e-12);
  assertThrows(() => gaussianOf(features(1, 5, 3, 0)), RangeError, "it needs at least 2");
});

Deno.test("factorOf() gives A = Fᵀ F with as many rows as A has rank", () => {
  for (const [images, dims, rank] of [[40, 12, 12], [6, 30, 5]] as const) {
    const { covariance } = gaussianOf(features(images, dims, 4, 0));
    const factor = factorOf(covariance);
    assertEquals(factor.rows, rank);
    const columns = transposed(factor);
    assertMatrix(product(columns, columns), covariance, 1e-12);
  }
  assertEquals(factorOf({ rows: 2, columns: 2, values: new Float64Array(4) }).rows, 0);
});

Deno.test("frechetDistance() is that of the closed form for diagonal covariances", () => {
  const diagonal = (mean: number[], variances: number[]) => ({
    mean: Float64Array.from(mean),
    covariance: {
      rows: 3,
      columns: 3,
      values: Float64Array.from({ length: 9 }, (_, i) => i % 4 === 0 ? variances[i / 4]! : 0),
    },
  });
  const [a, b] = [diagonal([1, 2, 3], [1, 4, 0]), diagonal([1, 0, 3], [9, 1, 2])];
  const wanted = 4 + (1 - 3) ** 2 + (2 - 1) ** 2 + 2; // of means, then of standard deviations
  assertAlmostEquals(frechetDistance(a, b), wanted, 1e-12);
  assertAlmostEquals(frechetDistance(b, a), wanted, 1e-12);
  assertAlmostEquals(frechetDistance(a, a), 0, 1e-12);
  assertThrows(
    () => frechetDistance(a, gaussianOf(features(9, 2, 1, 0))),
    RangeError,
    "features of 3 dimensions with some of 2",
  );
});

Deno.test("neighbors are those of the definition, in blocks too", async () => {
  const engine = await openEngine("auto");
  const distances = distancesOn(engine);
  const [x, y] = [features(2100, 6, 5, 3), features(2300, 6, 6, 3)]; // more than a block of each
  const distance = (a: Features, i: number, b: Features, j: number) =>
    Math.hypot(...Array.from({ length: 6 }, (_, k) => a.values[6 * i + k]! - b.values[6 * j + k]!));
  const [first, third] = await radii(x, distances, [1, 3]);
  const nearest = await nearestOf(x, y, distances);
  for (const row of [0, 7, 2047, 2048, 2099]) {
    const own = Array.from({ length: x.rows }, (_, j) => distance(x, row, x, j)).sort((a, b) =>
      a - b
    );
    assertAlmostEquals(Math.sqrt(first![row]!), own[1]!, 1e-3);
    assertAlmostEquals(Math.sqrt(third![row]!), own[3]!, 1e-3);
    const others = Array.from({ length: y.rows }, (_, j) => distance(x, row, y, j));
    assertEquals(nearest[row]!.index, others.indexOf(Math.min(...others)));
    assertAlmostEquals(nearest[row]!.distance, Math.min(...others), 1e-3);
  }
  const self = await nearestOf(x, x, distances, Uint32Array.from({ length: x.rows }, (_, i) => i));
  assert(self.every(({ index, distance }, row) => index !== row && distance > 0));
  assertAlmostEquals(self[9]!.distance, Math.sqrt(first![9]!), 1e-3);
  await engine.dispose();
});

Deno.test("intercept() is where a line meets 0", () => {
  assertAlmostEquals(intercept([[1, 5], [2, 7], [4, 11]]), 3, 1e-12);
  assertAlmostEquals(intercept([[1, 1], [2, 3], [3, 2]]), 1, 1e-12);
});
