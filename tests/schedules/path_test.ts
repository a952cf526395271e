import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Level } from "../../plugin.ts";
import {
  alphasCumprod,
  BETA_SCHEDULES,
  CLEAN,
  cosine,
  linear,
  linearOpenai,
  path,
  pathOf,
  posterior,
  rescaleZeroSnr,
  respacedTimesteps,
  spacedTimesteps,
  SPACINGS,
} from "../../schedules/mod.ts";
import respacing from "../fixtures/schedules/respacing.json" with { type: "json" };
import { assertClose } from "./_expected.ts";

/** Levels of the reference's own schedule, from the cleanest to the noisiest. */
const levels = (betas: Float64Array) => {
  const all = alphasCumprod(betas);
  return path({ alphasCumprod: all, respacing: "" }).reverse();
};

Deno.test("path() gives the levels of its timesteps, then the clean one", () => {
  const alphas = alphasCumprod(cosine(1000));
  const visited = path({ alphasCumprod: alphas, spacing: "trailing", steps: 10 });
  assertEquals(visited.length, 11);
  assertEquals(visited.at(-1), { t: -1, alpha: 1, sigma: 0 });
  for (const { t, alpha, sigma } of visited.slice(0, -1)) {
    assertEquals(alpha, Math.sqrt(alphas[t] ?? NaN));
    assertEquals(sigma, Math.sqrt(1 - (alphas[t] ?? NaN)));
  }
});

Deno.test("path() ends at timestep 0 without setAlphaToOne", () => {
  const alphas = alphasCumprod(linear(1000));
  const visited = path({ alphasCumprod: alphas, timesteps: [500, 20], setAlphaToOne: false });
  assertEquals(visited.at(-1), { t: 0, alpha: Math.sqrt(0.9999), sigma: Math.sqrt(1 - 0.9999) });
});

Deno.test("path() visits from 1 to all timesteps, each with less noise than the last", () => {
  for (const betas of [linear(100), cosine(100), rescaleZeroSnr(cosine(100))]) {
    const alphas = alphasCumprod(betas);
    for (const spacing of SPACINGS) {
      for (let steps = 1; steps <= 100; steps++) {
        const visited = path({ alphasCumprod: alphas, spacing, steps });
        assertEquals(visited.length, steps + 1);
        visited.forEach(({ t, alpha, sigma }, i) => {
          assert(Math.abs(alpha ** 2 + sigma ** 2 - 1) < 1e-15);
          const before: Level = visited[i - 1] ?? { t: 100, alpha: -1, sigma: 2 };
          assert(t < before.t && sigma < before.sigma && alpha > before.alpha);
        });
      }
      const all = path({ alphasCumprod: alphas, spacing, steps: 100 });
      assertEquals(all.map(({ t }) => t), Array.from({ length: 101 }, (_, i) => 99 - i));
    }
  }
});

Deno.test("path() starts without a signal on a rescaled schedule, spaced by trailing", () => {
  const alphas = alphasCumprod(rescaleZeroSnr(linear(1000)));
  const [first] = path({ alphasCumprod: alphas, spacing: "trailing", steps: 7 });
  assertEquals(first, { t: 999, alpha: 0, sigma: 1 });
});

Deno.test("path() scales the t of levels for the network", () => {
  const alphas = alphasCumprod(linearOpenai(4000));
  const visited = path({ alphasCumprod: alphas, respacing: "3", timeScale: 1000 / 4000 });
  assertEquals(visited.map(({ t }) => t), [999.75, 500, 0, -1]);
});

Deno.test("path() rejects what it cannot visit", () => {
  const alphas = alphasCumprod(linear(1000));
  const visit = (...timesteps: number[]) => () => path({ alphasCumprod: alphas, timesteps });
  assertThrows(visit(), RangeError, "Cannot visit timesteps: there are none");
  assertThrows(
    visit(1000),
    RangeError,
    "Cannot visit timestep 1000: it must be an integer between 0 and 999",
  );
  assertThrows(visit(5, 2.5), RangeError, "Cannot visit timestep 2.5");
  assertThrows(visit(5, -1), RangeError, "Cannot visit timestep -1");
  assertThrows(visit(NaN), RangeError, "Cannot visit timestep NaN");
  assertThrows(visit(5, 5), RangeError, "Cannot visit timestep 5 after 5: timesteps must fall");
});

Deno.test("spacedTimesteps() rounds and counts as NumPy does", () => {
  // With the rounding error of numpy.arange: the exact 937.5, 812.5, … would be rounded to even.
  assertEquals(spacedTimesteps("trailing", 1000, 48).slice(0, 5), [999, 978, 957, 936, 916]);
  // numpy.arange gives 62 here, the last of them -1.
  assertEquals(spacedTimesteps("trailing", 1000, 61).length, 61);
  assertEquals(spacedTimesteps("trailing", 1000, 61).slice(-2), [32, 15]);
  assertEquals(spacedTimesteps("linspace", 10, 3), [9, 4, 0]); // 4.5 to even
  assertEquals(spacedTimesteps("linspace", 8, 3), [7, 4, 0]); // 3.5 to even
  assertEquals(spacedTimesteps("linspace", 1000, 1), [0]);
  assertEquals(spacedTimesteps("leading", 1000, 1), [0]);
  assertEquals(spacedTimesteps("trailing", 1000, 1), [999]);
  assertEquals(spacedTimesteps("leading", 1000, 300, 1).slice(0, 2), [898, 895]);
});

Deno.test("spacedTimesteps() rejects steps that do not fit", () => {
  assertThrows(
    () => spacedTimesteps("leading", 1000, 2000),
    RangeError,
    "Cannot space 2000 steps over 1000 training timesteps: steps must be between 1 and 1000",
  );
  assertThrows(() => spacedTimesteps("linspace", 10, 0), RangeError, "must be between 1 and 10");
  assertThrows(() => spacedTimesteps("trailing", 10, 2.5), RangeError, "Cannot space 2.5 steps");
  assertThrows(
    () => spacedTimesteps("leading", 1000, 1000, 1),
    RangeError,
    "Cannot space 1000 steps over 1000 training timesteps with an offset of 1:" +
      " the first would be at timestep 1000, the last there is is 999",
  );
  assertThrows(() => spacedTimesteps("leading", 10, 2, -1), RangeError, "an offset of -1");
  assertEquals(spacedTimesteps("trailing", 10, 10, 1)[0], 9); // ignores it
});

Deno.test("respacedTimesteps() keeps what OpenAI's code keeps", () => {
  for (const [name, kept] of Object.entries(respacing)) {
    const [total = "", text = ""] = name.split("/");
    assertEquals(respacedTimesteps(Number(total), text), kept.toReversed(), name);
  }
  assertEquals(respacedTimesteps(10, ""), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  assertEquals(respacedTimesteps(10, "4,3,2"), [9, 7, 6, 5, 4, 3, 2, 1, 0]);
  assertEquals(respacedTimesteps(10, "1"), [0]);
  assertEquals(respacedTimesteps(10, "0,1"), [5]);
  assertEquals(respacedTimesteps(10, "4"), [9, 6, 3, 0]);
  assertEquals(respacedTimesteps(6, "3"), [5, 2, 0]); // 2.5 to even
  assertEquals(respacedTimesteps(8, "3"), [7, 4, 0]); // 3.5 to even
  assertEquals(respacedTimesteps(10, "ddim10").length, 10);
});

Deno.test("respacedTimesteps() rejects what it cannot keep", () => {
  for (const text of ["ddim", "10,", ",", "x", "-1", "1.5", " 5", "ddim1,2"]) {
    assertThrows(
      () => respacedTimesteps(1000, text),
      SyntaxError,
      `Cannot respace by "${text}": it must be like "250", "10,10,5" or "ddim25"`,
    );
  }
  assertThrows(
    () => respacedTimesteps(10, "2,6"),
    RangeError,
    'Cannot respace 10 timesteps by "2,6": section 2 has only 5 of them',
  );
  assertThrows(
    () => respacedTimesteps(1000, "ddim300"),
    RangeError,
    'Cannot respace 1000 timesteps by "ddim300": no whole stride keeps exactly 300',
  );
  assertThrows(() => respacedTimesteps(10, "0"), RangeError, "it keeps none of them");
});

Deno.test("posterior() gives the coefficients of the reference", () => {
  const visited = levels(linearOpenai(1000));
  const all = visited.slice(1).map((from, i) => posterior(from, visited[i] ?? CLEAN));
  const name = "coefficients.linear_openai.1000";
  assertClose(all.map(({ x0 }) => x0), `${name}.posterior_mean_coef1`);
  assertClose(all.map(({ x }) => x), `${name}.posterior_mean_coef2`);
  const variances = all.map(({ variance }) => variance);
  assertClose(variances, `${name}.posterior_variance`);
  const clipped = [variances[1] ?? NaN, ...variances.slice(1)].map(Math.log);
  assertClose(clipped, `${name}.posterior_log_variance_clipped`);
  assertClose(visited.slice(0, -1).map(({ alpha }) => alpha ** 2), `${name}.alphas_cumprod_prev`);
});

Deno.test("posterior() gives the variances of a respaced process", () => {
  for (const [name, betas] of [["linear", linearOpenai(1000)], ["cosine", cosine(1000)]] as const) {
    for (const text of ["250", "ddim25", "10,10,5"]) {
      const visited = path({ alphasCumprod: alphasCumprod(betas), respacing: text }).reverse();
      const all = visited.slice(1).map((from, i) => posterior(from, visited[i] ?? CLEAN));
      const respaced = `respaced.${name}.1000.${text}`;
      assertClose(all.map(({ beta }) => beta), `${respaced}.betas`);
      assertClose(all.map(({ variance }) => variance), `${respaced}.posterior_variance`);
      const signals = visited.slice(1).map(({ alpha }) => alpha ** 2);
      assertClose(signals, `${respaced}.alphas_cumprod`);
    }
    const whole = levels(betas);
    const all = whole.slice(1).map((from, i) => posterior(from, whole[i] ?? CLEAN));
    assertClose(all.map(({ beta }) => beta), `respaced.${name}.1000.1000.betas`);
  }
});

Deno.test("pathOf() takes the defaults of the class, and the rule of a run instead", () => {
  const times = (levels: readonly Level[]) => levels.map(({ t }) => t);
  assertEquals(times(pathOf({ _class_name: "DDPMScheduler" }, 2)), [500, 0, -1]);
  assertEquals(times(pathOf({ _class_name: "PNDMScheduler" }, 2)), [500, 0, 0]);
  assertEquals(times(pathOf({ _class_name: "EulerDiscreteScheduler" }, 2)), [999, 0, -1]);
  const config = { timestep_spacing: "leading", steps_offset: 1, set_alpha_to_one: false };
  assertEquals(times(pathOf(config, 2)), [501, 1, 0]);
  assertEquals(times(pathOf(config, 2, "trailing")), [999, 499, -1]);
  assertEquals(times(pathOf(config, 2, "leading,final=sigma_min")), [500, 0, 0]);
  const message = 'timestep_spacing="even": it must be one of leading, linspace, trailing';
  assertThrows(() => pathOf({ timestep_spacing: "even" }, 2), TypeError, message);
  assertThrows(() => pathOf({ steps_offset: null }, 2), TypeError, "steps_offset=null");
});

Deno.test("path() and the respaced betas of every schedule leave the same signal", () => {
  for (const schedule of Object.values(BETA_SCHEDULES)) {
    const alphas = alphasCumprod(schedule(1000, 1e-4, 0.02));
    const visited = path({ alphasCumprod: alphas, spacing: "linspace", steps: 50 }).reverse();
    const betas = visited.slice(1).map((from, i) => posterior(from, visited[i] ?? CLEAN).beta);
    const last = alphasCumprod(betas).at(-1) ?? NaN;
    assert(Math.abs(last - (alphas[999] ?? NaN)) < 1e-12);
  }
});
