import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { pathProcess } from "../../pipeline/process.ts";
import type { Level } from "../../plugin.ts";
import { linearPath } from "./_closed_form.ts";

const levelOf = (sigma: number, alpha: number): Level => ({ t: 1000 * sigma, alpha, sigma });
const paths = {
  "variance-preserving": linearPath(10),
  "variance-exploding": [20, 3, 0.5, 0.01, 0].map((sigma) => levelOf(sigma, 1)),
  flow: [1, 0.7, 0.4, 0.1, 0].map((sigma) => levelOf(sigma, 1 - sigma)),
};

for (const [name, path] of Object.entries(paths)) {
  const process = pathProcess(path);

  Deno.test(`pathProcess() knows the levels of a ${name} path by ratio and by time`, () => {
    for (const level of path) {
      assertEquals(process.atRatio(level.sigma / level.alpha), level);
      assertEquals(process.atTime(level.t), level);
    }
  });

  Deno.test(`pathProcess() lies between the levels of a ${name} path`, () => {
    const norm = { "variance-exploding": "alpha", flow: "sum" }[name] ?? "square";
    for (const [i, from] of path.slice(0, -2).entries()) {
      const to = path[i + 1] ?? from;
      if (from.alpha === 0) continue;
      const middle = Math.sqrt(from.sigma / from.alpha * to.sigma / to.alpha);
      const { t, alpha, sigma } = process.atRatio(middle);
      assertAlmostEquals(t, (from.t + to.t) / 2, 1e-9); // linear in the logarithm
      assertAlmostEquals(sigma / alpha, middle, 1e-12 * middle);
      const sums = { alpha, sum: alpha + sigma, square: alpha ** 2 + sigma ** 2 };
      assertAlmostEquals(sums[norm as keyof typeof sums], 1, 1e-12);
      const again = process.atTime(t);
      assertAlmostEquals(again.sigma, sigma, 1e-9 * sigma);
    }
  });

  Deno.test(`pathProcess() stays within the times of a ${name} path`, () => {
    const times = path.map(({ t }) => t);
    for (const ratio of [0, 1e-9, 1e9]) {
      const { t, alpha, sigma } = process.atRatio(ratio);
      assert(t >= Math.min(...times) && t <= Math.max(...times), `t = ${t}`);
      assertAlmostEquals(sigma, ratio * alpha, 1e-9);
    }
  });
}

Deno.test("pathProcess() knows a level where nothing of the image is left", () => {
  const { alpha, sigma } = pathProcess(linearPath(3)).atRatio(Infinity);
  assertEquals({ alpha, sigma }, { alpha: 0, sigma: 1 });
});
