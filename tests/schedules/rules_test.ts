import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  alphasCumprod,
  AYS_LISTS,
  betaSigmas,
  discreteProcess,
  edmProcess,
  exponentialSigmas,
  flowProcess,
  karrasSigmas,
  PATH_ALIASES,
  PATH_RULES,
  polyexponentialSigmas,
  type Process,
  routeOf,
  scaledLinear,
  vpSigmas,
} from "../../schedules/mod.ts";
import { betaQuantile } from "../../schedules/paths/beta.ts";
import { checkOptions } from "../../plugins/options.ts";
import { readFixture } from "../_safetensors.ts";

const expected = readFixture("schedules/kdiffusion.safetensors");
const stable = discreteProcess(alphasCumprod(scaledLinear(1000)));

Deno.test("the rules of k-diffusion give its sigmas", () => {
  const rules = {
    karras: karrasSigmas(10, 0.03, 14.6),
    exponential: exponentialSigmas(10, 0.03, 14.6),
    polyexponential: polyexponentialSigmas(10, 0.03, 14.6, 1.5),
    vp: vpSigmas(10),
  };
  for (const [name, sigmas] of Object.entries(rules)) {
    const theirs = expected(`sigmas.${name}`).data;
    assertEquals(theirs.at(-1), 0);
    sigmas.forEach((sigma, i) => {
      assert(
        Math.abs(sigma - (theirs[i] ?? NaN)) < 1e-6 * Math.max(10, sigma),
        `${name}: ${sigma}, ${theirs[i]}`,
      );
    });
    assertEquals(sigmas.length, theirs.length - 1, name);
  }
});

/** scipy.stats.beta.ppf(share, alpha, beta), SciPy 1.17. */
const QUANTILES = [
  [0.001, 0.6, 0.6, 1.855873851745199e-05],
  [0.05, 0.6, 0.6, 0.012554456873611399],
  [0.25, 0.6, 0.6, 0.17568037865269498],
  [0.9, 0.6, 0.6, 0.9604155944112192],
  [0.3, 2.5, 0.7, 0.7097758912148804],
  [0.99, 8, 3, 0.9524930010488387],
] as const;

Deno.test("betaQuantile() gives the quantiles of SciPy", () => {
  for (const [share, alpha, beta, x] of QUANTILES) {
    assert(Math.abs(betaQuantile(share, alpha, beta) / x - 1) < 1e-9, `${share} ${alpha} ${beta}`);
  }
  for (const share of [0, 1]) assertEquals(betaQuantile(share, 0.6, 0.6), share);
  assert(Math.abs(betaQuantile(0.3, 1, 1) - 0.3) < 1e-12); // uniform
  assert(Math.abs(betaQuantile(0.25, 2, 1) - 0.5) < 1e-12); // x²
  assert(Math.abs(betaQuantile(0.5, 0.5, 0.5) - 0.5) < 1e-12); // arcsine, symmetric
});

Deno.test("betaSigmas() are symmetric between their ends", () => {
  const sigmas = betaSigmas(5, 1, 9);
  assertEquals([sigmas[0], sigmas[4]], [9, 1]);
  assert(Math.abs((sigmas[2] ?? NaN) - 5) < 1e-9);
  assert(Math.abs((sigmas[1] ?? NaN) + (sigmas[3] ?? NaN) - 10) < 1e-9);
});

Deno.test("logSNR in equal steps is exponential in sigma, but for flow models", () => {
  const sigmas = (process: Process, rule: string) =>
    routeOf(process, rule, 5).levels.slice(0, 5).map(({ sigma }) => sigma);
  const [uniform, geometric] = ["lambdas", "exponential"].map((rule) => sigmas(stable, rule));
  uniform?.forEach((sigma, i) => assert(Math.abs(sigma - (geometric?.[i] ?? NaN)) < 1e-12));
  const flow = routeOf(flowProcess(1000), "lambdas,sigma_min=0.1,sigma_max=0.9", 5).levels.slice(
    0,
    5,
  );
  const snr = flow.map(({ alpha, sigma }) => 2 * Math.log(alpha / sigma));
  snr.slice(1).forEach((now, i) => {
    assert(Math.abs(now - (snr[i] ?? NaN) - Math.log(9)) < 1e-9); // 4 ln 9 in four steps
  });
});

Deno.test("ays has its ten steps as they were published, and others between", () => {
  const ratios = (steps: number, rule = "ays") =>
    routeOf(stable, rule, steps).levels.map(({ alpha, sigma }) => sigma / alpha);
  [...AYS_LISTS.sd15.slice(0, 10), 0].forEach((sigma, i) => {
    assert(Math.abs((ratios(10)[i] ?? NaN) - sigma) < 1e-12);
  });
  const twenty = ratios(20, "ays,list=sdxl");
  assertEquals(twenty.length, 21);
  assert(Math.abs((twenty[1] ?? NaN) - Math.sqrt(14.615 * 6.315)) < 1e-9);
});

Deno.test("shifted flow levels keep their ends", () => {
  const { levels } = routeOf(flowProcess(1000), "flow,shift=3,sigma_min=0.5", 2);
  assertEquals(levels.map(({ sigma }) => sigma), [1, 0.75, 0]); // 3 · 0.5 / (1 + 2 · 0.5)
  const { levels: stretched } = routeOf(flowProcess(1000), "flow,terminal=0.2", 5);
  assert(Math.abs((stretched[4]?.sigma ?? NaN) - 0.2) < 1e-12);
  assertEquals(stretched[0]?.sigma, 1);
});

Deno.test("a path ends clean, at the smallest sigma or where its last level is", () => {
  const last = (final: string) => {
    const { levels } = routeOf(stable, `karras,sigma_min=0.5,final=${final}`, 4);
    return levels.slice(-2).map(({ alpha, sigma }) => sigma / alpha);
  };
  assertEquals(last("zero")[1], 0);
  assert(Math.abs((last("sigma_min")[1] ?? NaN) - stable.sigmaMin) < 1e-12);
  assertEquals(last("last")[1], last("last")[0]);
});

Deno.test("a path starts with noise of sigma, or with that of images too", () => {
  const start = (process: Process, rule: string) => routeOf(process, rule, 3).start;
  const { sigma } = stable.atTime(999);
  assertEquals(start(stable, "trailing,start=noise"), sigma);
  assert(Math.abs(start(stable, "trailing") - 1) < 1e-12);
  const edm = edmProcess({ sigmaMin: 0.1, sigmaMax: 3 });
  assert(Math.abs(start(edm, "karras") - 3) < 1e-12);
  assert(Math.abs(start(edm, "karras,start=unit") - Math.sqrt(10)) < 1e-12);
});

for (const [name, rule] of Object.entries(PATH_RULES)) {
  Deno.test(`${name} has a whole table and falls from 1 to 5 steps, noisier than its end`, () => {
    assertEquals(rule.name, name);
    assertMatch(rule.summary, /^[^\n]{3,99}[^.\n]$/);
    assert(URL.canParse(rule.paper) && rule.paper.startsWith("https://"));
    checkOptions("spacing", name, rule.options, {});
    const process = name === "flow" ? flowProcess(1000) : stable;
    for (let steps = 1; steps <= 5; steps++) {
      const { levels, spacing = "" } = routeOf(process, name, steps);
      assertEquals(levels.length, steps + 1);
      levels.slice(1).forEach((to, i) => {
        const from = levels[i] ?? to;
        assert(to.sigma < from.sigma && to.t <= from.t, `step ${i + 1} of ${steps}`);
      });
      assertEquals(routeOf(process, spacing, steps).levels, levels); // what PNGs keep
    }
  });
}

Deno.test("every other name of a rule is of one that is there", () => {
  for (const [alias, name] of Object.entries(PATH_ALIASES)) {
    assert(name in PATH_RULES && !(alias in PATH_RULES));
    assertEquals(routeOf(stable, alias, 3), routeOf(stable, name, 3));
  }
});

Deno.test("PATH_RULES has every file of the folder", () => {
  const files = [...Deno.readDirSync(new URL("../../schedules/paths", import.meta.url))]
    .map(({ name }) => name.replace(".ts", "")).filter((name) => !/^_|^mod$/.test(name));
  assertEquals(files.toSorted(), Object.keys(PATH_RULES).toSorted());
});
