import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  alphasCumprod,
  continuousVpProcess,
  discreteProcess,
  edmProcess,
  flowProcess,
  geometric,
  levelAt,
  linear,
  type Process,
  rescaleZeroSnr,
  routeOf,
  scaledLinear,
  sigmaRoute,
  timestepRoute,
  veProcess,
} from "../../schedules/mod.ts";
import { readFixture } from "../_safetensors.ts";

const expected = readFixture("schedules/kdiffusion.safetensors");
const stable = discreteProcess(alphasCumprod(scaledLinear(1000)));

/** Compares with numbers of a reference in float32. */
function assertNear(ours: readonly number[], theirs: ArrayLike<number>, allowed: number): void {
  assertEquals(ours.length, theirs.length);
  ours.forEach((value, i) => {
    const wanted = theirs[i] ?? NaN;
    const off = Math.abs(value - wanted) / Math.max(1, Math.abs(wanted));
    assert(off <= allowed, `${i}: ${value} is not ${wanted}`);
  });
}

Deno.test("atSigma() and atTime() convert as k-diffusion does", () => {
  const sigmas = [...expected("discrete.sigma").data];
  const t = (conversion: "fractional" | "round") =>
    sigmas.map((sigma) => stable.atSigma(sigma, conversion).t);
  assertNear(t("fractional"), expected("discrete.sigma_to_t").data, 1e-4);
  assertEquals(t("round"), [...expected("discrete.sigma_to_t_quantized").data]);
  const ratios = [...expected("discrete.t").data].map((time) => {
    const { alpha, sigma } = stable.atTime(time, "log");
    return sigma / alpha;
  });
  assertNear(ratios, expected("discrete.t_to_sigma").data, 1e-4);
});

Deno.test("linspace with log interpolation visits k-diffusion's get_sigmas()", () => {
  const wanted = expected("discrete.get_sigmas").data;
  const rule = "linspace,fractional=true,interpolation=log";
  const { levels } = routeOf(stable, rule, wanted.length - 1);
  assertNear(levels.map(({ alpha, sigma }) => sigma / alpha), wanted, 1e-4);
});

Deno.test("atSigma() rounds t or cuts it off", () => {
  const ratio = (t: number) => stable.atTime(t).sigma / stable.atTime(t).alpha;
  const sigma = Math.exp(0.3 * Math.log(ratio(499)) + 0.7 * Math.log(ratio(500)));
  const at = (...conversion: [] | ["fractional" | "round" | "floor"]) =>
    stable.atSigma(sigma, ...conversion);
  assert(Math.abs(at().t - 499.7) < 1e-9);
  assertEquals([at("round").t, at("floor").t], [500, 499]);
  for (const level of [at(), at("round"), at("floor")]) { // t alone differs
    assert(Math.abs(level.sigma / level.alpha - sigma) < 1e-12);
  }
});

Deno.test("levels keep their own t at every timestep, and the ends beyond", () => {
  for (let t = 0; t < 1000; t += 37) {
    const { alpha, sigma } = stable.atTime(t);
    assert(Math.abs(stable.atSigma(sigma / alpha).t - t) < 1e-9);
  }
  assertEquals([stable.atSigma(1e-6).t, stable.atSigma(1e6).t], [0, 999]);
  assertEquals(stable.atSigma(0), { t: -1, alpha: 1, sigma: 0 });
  assertEquals(stable.atRatio(Infinity), { t: 999, alpha: 0, sigma: 1 });
  assertThrows(() => stable.atTime(1000), RangeError, "Cannot visit timestep 1000");
  assertThrows(() => stable.atSigma(-1), RangeError, "Cannot visit sigma -1");
});

Deno.test("a single timestep has levels, too", () => {
  const { atSigma, sigmaMin, sigmaMax } = discreteProcess([0.5]);
  assertEquals([atSigma(3).t, sigmaMin, sigmaMax], [0, 1, 1]);
});

Deno.test("a process without a signal at its last timestep is finite between the last two", () => {
  const process = discreteProcess(alphasCumprod(rescaleZeroSnr(linear(1000))));
  assertEquals(process.atTime(999).alpha, 0);
  const { alpha, sigma } = process.atTime(998.5);
  assert(alpha > 0 && sigma < 1);
  assert(Number.isFinite(process.sigmaMax));
  assert(Math.abs(process.atSigma(process.sigmaMax).t - 999) < 1e-9);
});

const PROCESSES: Record<string, Process> = {
  discrete: stable,
  ve: veProcess({ sigmaMin: 0.01, sigmaMax: 50 }),
  edm: edmProcess({ sigmaMin: 0.002, sigmaMax: 80 }),
  vp: continuousVpProcess({ sigmaMin: 0.002, sigmaMax: 700 }),
  flow: flowProcess(1000),
};

for (const [name, process] of Object.entries(PROCESSES)) {
  Deno.test(`the ${name} process is the same by ratio, by sigma and by time`, () => {
    for (const ratio of [0.05, 0.3, 1, 4, 13]) {
      const level = process.atRatio(ratio);
      assert(Math.abs(level.sigma / level.alpha - ratio) < 1e-9);
      const same = process.atSigma(process.sigmaOf(ratio));
      assert(Math.abs(same.sigma - level.sigma) < 1e-12);
      assert(Math.abs(process.ratioOf(process.sigmaOf(ratio)) - ratio) < 1e-9);
      assert(Math.abs(process.atTime(level.t).sigma - level.sigma) < 1e-4);
    }
    assertEquals(process.atRatio(0), { t: -1, alpha: 1, sigma: 0 });
  });
}

Deno.test("flow matching mixes images and noise in straight lines", () => {
  assertEquals(PROCESSES["flow"]?.atTime(250), { t: 250, alpha: 0.75, sigma: 0.25 });
  assertEquals(PROCESSES["flow"]?.atRatio(Infinity), { t: 1000, alpha: 0, sigma: 1 });
  assertThrows(() => PROCESSES["flow"]?.atSigma(1.5), RangeError, "it must be between 0 and 1");
});

Deno.test("EDM tells the network a quarter of the logarithm", () => {
  assertEquals(PROCESSES["edm"]?.atSigma(Math.E ** 4).t, 1);
  const { t, alpha } = PROCESSES["vp"]?.atSigma(1) ?? {};
  assertEquals([t, alpha?.toFixed(12)], [0, Math.SQRT1_2.toFixed(12)]);
});

Deno.test("geometric() gives NCSN's levels", () => {
  const sigmas = geometric(3, { sigmaMin: 0.01, sigmaMax: 1 });
  assert(Math.abs((sigmas[1] ?? NaN) - 0.1) < 1e-15);
  assertEquals([...geometric(1, { sigmaMin: 0.01, sigmaMax: 1 })].length, 1);
});

Deno.test("timestepRoute() and sigmaRoute() visit what is listed", () => {
  const { levels, start } = timestepRoute(stable, [999, 500.5, 3]);
  assertEquals(levels.map(({ t }) => t), [999, 500.5, 3, -1]);
  assertEquals(levels[0], levelAt(alphasCumprod(scaledLinear(1000)), 999));
  assert(Math.abs(start - 1) < 1e-12);
  const sigmas = sigmaRoute(stable, [10, 1, 0]).levels;
  assertEquals(sigmas.map(({ alpha, sigma }) => Math.round(sigma / alpha)), [10, 1, 0]);
  const open = sigmaRoute(stable, [10, 0.1]).levels; // ends with noise, as in k-diffusion
  assertEquals(open.length, 2);
});

Deno.test("sigmaRoute() stretches a list along its logarithm, and keeps its ends", () => {
  const ratios = (list: number[], steps: number) => sigmaRoute(stable, list, steps).sigmas ?? [];
  assertEquals(ratios([10, 1, 0], 2), [10, 1, 0]);
  [10, Math.sqrt(10), 1, 0].forEach((sigma, i) => {
    assert(Math.abs((ratios([10, 1, 0], 3)[i] ?? NaN) - sigma) < 1e-12);
  });
  assertEquals(ratios([8, 4, 2, 1], 1), [8, 1]);
});

Deno.test("timestepRoute() and sigmaRoute() refuse lists that they cannot visit", () => {
  const refused: [() => unknown, string][] = [
    [() => timestepRoute(stable, []), "Cannot visit timesteps: there are none"],
    [() => timestepRoute(stable, [5, 5]), "Cannot visit timestep 5 after 5: timesteps must fall"],
    [
      () => timestepRoute(stable, [1000]),
      "Cannot visit timestep 1000: it must be between 0 and 999",
    ],
    [() => timestepRoute(stable, [NaN]), "Cannot visit timestep NaN"],
    [() => timestepRoute(PROCESSES["edm"] as Process, [1]), "its time is continuous"],
    [() => sigmaRoute(stable, [1]), "Cannot visit fewer than two sigmas"],
    [() => sigmaRoute(stable, [1, 2]), "Cannot visit sigma 2 after 1: sigmas must fall"],
    [() => sigmaRoute(stable, [1, -1]), "Cannot visit sigma -1: it must be at least 0"],
  ];
  for (const [visit, message] of refused) assertThrows(visit, RangeError, message);
});
