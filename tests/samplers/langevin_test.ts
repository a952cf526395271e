import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { Level } from "../../plugin.ts";
import langevin from "../../samplers/langevin.ts";
import { testSampler } from "../laws.ts";
import { callsOf } from "./_convergence.ts";
import { draws } from "./_equal.ts";
import { affine, chainMoments, cleanLine, type Normal, stepsOf } from "./_moments.ts";

// From level to level it keeps x, not x over alpha.
testSampler(langevin, {
  scaleFree: false,
  settings: [{ steps: 1, step_size: 0.2 }, { steps: 2, step_size: 1 }],
});

const path: Level[] = [5, 1, 0.2, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }));

Deno.test("langevin() has the moments of Algorithm 1 on Gaussian data", async () => {
  const data = { mean: 0.5, variance: 0.09 };
  for (const denoise of [0, 1]) {
    let now: Normal = { mean: 0, variance: 25 };
    const expected = stepsOf(path).map(({ from, to }) => {
      // Their step of epsilon = 2e-5, sigma_L = 0.01: 0.2 of the squared level; score = (x0 - x) / sigma^2.
      const { slope, offset } = cleanLine(data, from);
      const half = 0.2 / 2;
      now = affine(now, 1 + half * (slope - 1), half * offset, 0.2 * from.sigma ** 2);
      if (to.sigma === 0 && denoise) now = affine(now, slope, offset, 0);
      return now;
    });
    const options = { steps: 1, step_size: 0.2, denoise: denoise === 1 };
    const { moments } = await chainMoments(langevin, options, path, data);
    for (const [i, { mean, variance }] of expected.entries()) {
      assertAlmostEquals(moments[i]?.mean ?? NaN, mean, 1e-5);
      assertAlmostEquals(moments[i]?.variance ?? NaN, variance, 1e-5 * Math.max(1, variance));
    }
  }
});

Deno.test("langevin() keeps what a level's distribution is, up to its step size", async () => {
  const data = { mean: 0.5, variance: 0.09 };
  const still: Level[] = Array.from({ length: 200 }, () => ({ t: 0.5, alpha: 1, sigma: 0.5 }));
  const { moments } = await chainMoments(langevin, { steps: 1, step_size: 0.2 }, still, data);
  const { mean = NaN, variance = NaN } = moments.at(-1) ?? {};
  assertAlmostEquals(mean, 0.5, 1e-3);
  assertAlmostEquals(variance, 0.09 + 0.25, 0.02);
});

Deno.test("langevin() calls and draws as often as it moves, and once more to end clean", async () => {
  assertEquals(await callsOf(langevin, { steps: 3 }, 10), { noisy: 30, clean: 34 });
  assertEquals(await draws(langevin, { steps: 3 }, 6), 18);
});
