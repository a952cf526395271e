import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { ancestral } from "../../samplers/_ancestral.ts";
import { zphi } from "../../samplers/_phi.ts";
import { quadrature } from "../../samplers/_quadrature.ts";

/** z times the integral from 0 to 1 of `e^(z (1 - s)) s^(k - 1) / (k - 1)!`, by the midpoint rule. */
function byIntegral(k: number, z: number): number {
  const [count, factorial] = [20000, [1, 1, 2, 6][k - 1] ?? NaN];
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const s = (i + 0.5) / count;
    sum += Math.exp(z * (1 - s)) * s ** (k - 1);
  }
  return z * sum / count / factorial;
}

Deno.test("zphi() is the integral that defines it", () => {
  for (const k of [1, 2, 3, 4] as const) {
    for (const z of [-5, -1.01, -0.99, -0.1, -1e-3, 0, 1e-3, 0.5, 0.99, 1.01, 3]) {
      const exact = byIntegral(k, z);
      assertAlmostEquals(zphi(k, z), exact, 1e-7 * Math.max(1, Math.abs(exact)));
    }
  }
});

Deno.test("zphi() keeps its digits near 0, and has its limit far below", () => {
  for (const [k, factorial] of [[1, 1], [2, 2], [3, 6], [4, 24]] as const) {
    assertAlmostEquals(zphi(k, 1e-9) / (1e-9 / factorial), 1, 1e-8);
  }
  assertEquals([1, 2, 3].map((k) => zphi(k as 1 | 2 | 3, -Infinity)), [-1, -1, -0.5]);
});

Deno.test("quadrature() is exact for polynomials through its nodes", () => {
  const nodes = [0, -0.7, -1.1, 0.4];
  for (let count = 1; count <= nodes.length; count++) {
    const [start, end] = [0.1, 0.9];
    const power = (k: number) => (end ** (k + 1) - start ** (k + 1)) / (k + 1);
    const used = nodes.slice(0, count);
    const weights = quadrature(used, nodes.map((_, k) => power(k)));
    for (let k = 0; k < count; k++) {
      const sum = used.reduce((sum, node, i) => sum + (weights[i] ?? NaN) * node ** k, 0);
      assertAlmostEquals(sum, power(k), 1e-12);
    }
  }
});

Deno.test("quadrature() has the weights of Adams and Bashforth at even distances", () => {
  const weights = quadrature([0, -1, -2, -3], [1, 1 / 2, 1 / 3, 1 / 4]);
  const known = [55 / 24, -59 / 24, 37 / 24, -9 / 24];
  for (const [i, weight] of known.entries()) assertAlmostEquals(weights[i] ?? NaN, weight, 1e-12);
});

Deno.test("ancestral() goes down by as much as its noise takes up again", () => {
  const level = (sigma: number, alpha = 1) => ({ t: sigma, alpha, sigma });
  for (const eta of [0, 0.3, 1, 5]) {
    const { down, up } = ancestral(level(4), level(3), eta);
    assertAlmostEquals(Math.hypot(down, up), 3, 1e-12);
    assert(up <= 3 && (eta > 0 || up === 0));
  }
  assertAlmostEquals(ancestral(level(4), level(3), 1).up, 3 * Math.sqrt(1 - 9 / 16), 1e-12);
  assertEquals(ancestral(level(4), level(0), 1), { down: 0, up: 0 });
  assertEquals(ancestral(level(1, 0), level(0.6, 0.8), 1).down < 1e-6, true); // all of it is noise
});
