import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  alphasCumprod,
  alphasCumprodOf,
  betasOf,
  cosine,
  exponential,
  laplace,
  linear,
  linearOpenai,
  rescaleZeroSnr,
  scaledLinear,
  sigmoid,
} from "../../schedules/mod.ts";
import { assertClose } from "./_expected.ts";

const SCHEDULES = {
  linear,
  linear_openai: linearOpenai,
  scaled_linear: scaledLinear,
  sigmoid,
  cosine,
};

/** The names that diffusers has for the fixtures' schedules, and the ranges they were made with. */
const CONFIGS = {
  linear: { beta_schedule: "linear" },
  scaled_linear: { beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 },
  sigmoid: { beta_schedule: "sigmoid" },
  cosine: { beta_schedule: "squaredcos_cap_v2" },
  linear_openai: { beta_schedule: "linear_openai" },
};

for (const [name, schedule] of Object.entries(SCHEDULES)) {
  Deno.test(`${schedule.name}() gives the betas and alphas of the reference`, () => {
    for (const steps of [10, 100, 1000]) {
      const betas = schedule(steps);
      assertClose(betas, `${name}.${steps}.betas`);
      if (name === "linear_openai" && steps === 10) continue; // its betas are above 1
      assertClose(alphasCumprod(betas), `${name}.${steps}.alphas_cumprod`);
    }
  });

  Deno.test(`${schedule.name}() makes a schedule of a single step`, () => {
    const [beta = NaN, ...rest] = schedule(1);
    assert(Number.isFinite(beta) && beta > 0);
    assertEquals(rest, []);
  });
}

Deno.test("laplace() and exponential() give the betas of diffusers", () => {
  // betas_for_alpha_bar(T, alpha_transform_type=...) of diffusers 0.42, in float32: beta 0, T / 3, T - 2.
  const references = [
    [laplace, 10, [0.16833092272281647, 0.032143689692020416, 0.10690620541572571]],
    [laplace, 1000, [0.021153757348656654, 0.0003369381884112954, 0.15162965655326843]],
    [exponential, 10, [0.6988058090209961, 0.6988058090209961, 0.6988058090209961]],
    [exponential, 1000, [0.011928287334740162, 0.011928287334740162, 0.011928287334740162]],
  ] as const;
  for (const [schedule, steps, wanted] of references) {
    const betas = schedule(steps);
    [0, Math.floor(steps / 3), steps - 2].forEach((t, i) => {
      const off = Math.abs((betas[t] ?? NaN) - (wanted[i] ?? NaN));
      assert(off < 1e-7, `${schedule.name}(${steps})[${t}] is off by ${off}`);
    });
    assertEquals(
      betasOf({ beta_schedule: schedule === laplace ? "laplace" : "exp" }),
      schedule(1000),
    );
  }
});

Deno.test("rescaleZeroSnr() gives the betas and alphas of the reference, down to 0", () => {
  for (const name of ["linear", "cosine", "scaled_linear"] as const) {
    const betas = rescaleZeroSnr(SCHEDULES[name](1000));
    assertClose(betas, `zero_snr.${name}.1000.betas`);
    const alphas = alphasCumprod(betas);
    assertClose(alphas, `zero_snr.${name}.1000.alphas_cumprod`);
    assertEquals(alphas[999], 0);
    assertEquals(betas[999], 1);
  }
});

Deno.test("rescaleZeroSnr() changes nothing the second time", () => {
  const once = rescaleZeroSnr(linear(100));
  const twice = rescaleZeroSnr(once);
  assert(once.every((beta, i) => Math.abs(beta - (twice[i] ?? NaN)) < 1e-12));
});

Deno.test("rescaleZeroSnr() rejects a single beta", () => {
  assertThrows(
    () => rescaleZeroSnr([0.1]),
    RangeError,
    "Cannot rescale 1 betas to a zero terminal signal: it takes at least 2",
  );
});

Deno.test("alphasCumprodOf() reads every schedule of diffusers", () => {
  for (const [name, config] of Object.entries(CONFIGS)) {
    for (const num_train_timesteps of [100, 1000]) {
      const alphas = alphasCumprodOf({ ...config, num_train_timesteps });
      assertClose(alphas, `${name}.${num_train_timesteps}.alphas_cumprod`);
    }
  }
  const rescaled = alphasCumprodOf({ ...CONFIGS.cosine, rescale_betas_zero_snr: true });
  assertClose(rescaled, "zero_snr.cosine.1000.alphas_cumprod");
});

Deno.test("betasOf() takes the defaults of the class for what is absent", () => {
  assertEquals(betasOf({}), linear(1000));
  assertEquals(betasOf({ _class_name: "DDPMScheduler", beta_end: undefined }), linear(1000));
  assertEquals(betasOf({ _class_name: "HeunDiscreteScheduler" }), linear(1000, 0.00085, 0.012));
  assertEquals(betasOf({ _class_name: "LCMScheduler" }), scaledLinear(1000));
  assertEquals(betasOf({ _class_name: "UnCLIPScheduler" }), cosine(1000));
});

Deno.test("betasOf() prefers trained betas, and takes null for none", () => {
  const trained_betas = [0.1, 0.2, 0.3];
  const betas = betasOf({ trained_betas, num_train_timesteps: 3, beta_schedule: "linear" });
  assertEquals([...betas], trained_betas);
  assertEquals(betasOf({ trained_betas: null }), linear(1000));
  assertEquals(betasOf({ trained_betas: undefined }), linear(1000));
  assertEquals(betasOf({ rescale_betas_zero_snr: null }), linear(1000));
});

Deno.test("betasOf() rejects a configuration that it cannot follow", () => {
  const cases: [Record<string, unknown>, typeof TypeError | typeof RangeError, string][] = [
    [{ beta_schedule: "log" }, TypeError, 'beta_schedule="log": it must be one of exp, '],
    [{ beta_schedule: "toString" }, TypeError, 'beta_schedule="toString"'],
    [{ beta_schedule: null }, TypeError, "beta_schedule=null"],
    [{ beta_start: "0.1" }, TypeError, 'beta_start="0.1": it must be a number'],
    [{ beta_end: null }, TypeError, "beta_end=null: it must be a number"],
    [{ num_train_timesteps: 0 }, RangeError, "num_train_timesteps=0: it must be an integer"],
    [{ num_train_timesteps: 1.5 }, RangeError, "num_train_timesteps=1.5"],
    [{ rescale_betas_zero_snr: 1 }, TypeError, "rescale_betas_zero_snr=1: it must be true or"],
    [{ trained_betas: [0.1] }, RangeError, "1 trained_betas and num_train_timesteps=1000"],
    [{ _class_name: "EDMEulerScheduler" }, TypeError, "EDMEulerScheduler: its process has none"],
    [{ trained_betas: [null] }, TypeError, "trained_betas that are not all numbers"],
  ];
  for (const [config, type, message] of cases) {
    assertThrows(() => betasOf(config), type, message);
  }
});

Deno.test("alphasCumprod() rejects betas that leave no noise or no signal", () => {
  assertThrows(
    () => alphasCumprod([0.1, 0, 0.2]),
    RangeError,
    "Cannot use a noise schedule with beta 0 at timestep 1: it must be above 0 and below 1",
  );
  assertThrows(() => alphasCumprod([1, 0.5]), RangeError, "beta 1 at timestep 0");
  assertThrows(() => alphasCumprod([0.5, 1.5]), RangeError, "it must be above 0 and at most 1");
  assertThrows(() => alphasCumprod([NaN]), RangeError, "beta NaN");
  assertThrows(() => alphasCumprod(linearOpenai(10)), RangeError, "beta 1.1155");
  assertEquals([...alphasCumprod([0.5, 1])], [0.5, 0]);
});
