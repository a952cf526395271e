import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  isFlow,
  pathOf,
  processOf,
  routeOf,
  type SchedulerConfig,
  spacingOf,
  unfollowed,
} from "../../schedules/mod.ts";
import schedulers from "../fixtures/schedulers/cases.json" with { type: "json" };
import timesteps from "../fixtures/schedules/timesteps.json" with { type: "json" };

/** Where a scheduler of diffusers visits; absent is what it does not say. */
interface Reference {
  readonly config: SchedulerConfig;
  readonly steps: number;
  readonly timesteps: readonly number[];
  readonly sigmas?: readonly number[] | null;
  readonly init_noise_sigma?: number | undefined;
}

/** How many timesteps a scheduler counts for a step with stages: the first is of one call less. */
const STAGES = /Heun|^KDPM2/;

/** Every other of what a scheduler with two stages a step has, and the end. */
function withoutStages(sigmas: readonly number[], name: string): number[] {
  if (/^KDPM2/.test(name)) return [...sigmas.slice(0, 1), ...everyOther(sigmas.slice(1, -1))];
  return [...sigmas.slice(0, 1), ...everyOther(sigmas.slice(1, -1)), ...sigmas.slice(-1)];
}

const everyOther = (list: readonly number[]) => list.filter((_, i) => i % 2 === 0);

/** The largest difference, relative to values above 1, or above 1e-3 where `small`. */
function apart(ours: readonly number[], theirs: readonly number[], least: number): number {
  if (ours.length !== theirs.length) return Infinity;
  return Math.max(...theirs.map((value, i) => {
    const difference = Math.abs(value - (ours[i] ?? NaN));
    return difference === 0 ? 0 : difference / Math.max(least, Math.abs(value));
  }));
}

/** Compares a path with a reference, which computes in float32. */
function assertSamePath(reference: Reference, name: string): void {
  const { config, steps, sigmas, init_noise_sigma: noise } = reference;
  const className = String(config["_class_name"]);
  const process = processOf(config);
  const spacing = spacingOf(config, steps);
  const { levels, start } = routeOf(process, spacing, steps);
  const about = `${name} (${spacing})`;

  const stages = STAGES.test(className);
  let times = stages ? everyOther(reference.timesteps) : [...reference.timesteps];
  if (className === "PNDMScheduler") times = times.filter((t, i) => t !== times[i - 1]);
  const ours = levels.slice(0, -1).map(({ t }) => t);
  const cut = spacing.includes("t=floor");
  // At the noisiest sigma t is 999, and 998 once float32 has rounded it and it is cut off.
  if (cut && times[0] === (ours[0] ?? NaN) - 1) times[0] = ours[0] ?? NaN;
  // diffusers keeps log sigma in float32, from which it interpolates t.
  const whole = times.every(Number.isInteger);
  const far = apart(ours, times, 1);
  assert(far <= (whole ? 1e-6 : 3e-5), `${about}: timesteps are off by ${far}`);

  const flow = isFlow(process);
  const ratios = levels.map(({ alpha, sigma }) => flow ? sigma : sigma / alpha);
  if (sigmas) {
    const theirs = stages ? withoutStages(sigmas, className) : sigmas;
    // An alpha-bar close to 0 has few digits in float32.
    const allowed = /cos_cap|zero_snr":true/.test(JSON.stringify(config)) ? 3e-4 : 1e-4;
    const off = apart(ratios, theirs, 1e-3);
    assert(off <= allowed, `${about}: sigmas are off by ${off}`);
  }
  if (noise !== undefined) {
    const scale = noise === 1 ? 1 : levels[0]?.alpha ?? NaN; // to x = alpha x0 + sigma eps
    assert(Math.abs(start / (noise * scale) - 1) < 1e-4, `${about}: ${start}`);
  }
}

Deno.test("routeOf() visits what every scheduler of the reference visits", () => {
  const { cases, num_train_timesteps, beta_schedule, beta_start, beta_end } = timesteps;
  const betas = { num_train_timesteps, beta_schedule, beta_start, beta_end };
  for (const [name, reference] of Object.entries(cases)) {
    const [_class_name = "", spacing = "", steps, offset] = name.split("/");
    const config = spacing.startsWith("original")
      ? { original_inference_steps: Number(spacing.slice(8)) }
      : { timestep_spacing: spacing, steps_offset: Number(offset?.slice(6)), skip_prk_steps: true };
    const given = { _class_name, ...betas, ...config };
    assertSamePath({ config: given, steps: Number(steps), ...reference }, name);
  }
  assertEquals(Object.keys(cases).length, 123);
});

Deno.test("routeOf() follows the sigmas, ends and processes that configurations ask for", () => {
  for (const reference of schedulers as readonly Reference[]) {
    assertSamePath(reference, `${JSON.stringify(reference.config)} in ${reference.steps}`);
  }
});

Deno.test("spacingOf() says what is typed after --spacing", () => {
  const spacing = (config: SchedulerConfig, steps = 10) => spacingOf(config, steps);
  assertEquals(spacing({}), "leading");
  assertEquals(spacing({ _class_name: "PNDMScheduler" }), "leading,final=sigma_min");
  assertEquals(spacing({ timestep_spacing: "trailing", steps_offset: 1 }), "trailing");
  const karras = { _class_name: "DPMSolverMultistepScheduler", use_karras_sigmas: true };
  assertEquals(spacing(karras), "karras,t=round");
  assertEquals(
    spacing({ ...karras, final_sigmas_type: "sigma_min" }),
    "karras,t=round,final=sigma_min",
  );
  const euler = { _class_name: "EulerDiscreteScheduler" };
  assertEquals(spacing(euler), "linspace,fractional=true,start=noise");
  assertEquals(
    spacing({ ...euler, timestep_spacing: "leading", steps_offset: 1 }),
    "leading,offset=1,start=unit",
  );
  assertEquals(spacing({ _class_name: "EDMEulerScheduler" }), "karras,rho=7,start=unit");
  assertEquals(spacing({ _class_name: "ScoreSdeVeScheduler" }), "exponential");
  assertEquals(spacing({ _class_name: "LCMScheduler" }, 4), "lcm,original=50");
});

Deno.test("spacingOf() ignores what another class of schedulers would place levels by", () => {
  const other = {
    use_karras_sigmas: true,
    final_sigmas_type: "sigma_min",
    sigma_min: 0.1,
    use_flow_sigmas: true,
  };
  const spacing = (name: string) => spacingOf({ _class_name: `${name}Scheduler`, ...other }, 10);
  assertEquals(spacing("DDIM"), "leading");
  assertEquals(spacing("EulerAncestralDiscrete"), "linspace,fractional=true,start=noise");
  assertEquals(spacing("HeunDiscrete").replace(/sigma_max=[\d.]+,/, ""), "karras,start=noise");
  assertEquals(spacing("DEISMultistep"), "karras,t=round,final=last");
  assertEquals(processOf({ _class_name: "EulerDiscreteScheduler", ...other }).timesteps, 1000);
});

Deno.test("pathOf() of a score-based model goes down a geometric series to 0", () => {
  const config = { _class_name: "ScoreSdeVeScheduler", sigma_min: 0.01, sigma_max: 100 };
  const levels = pathOf(config, 5);
  assertEquals(levels.map(({ alpha }) => alpha), Array(6).fill(1));
  [100, 10, 1, 0.1, 0.01, 0].forEach((sigma, i) => {
    assert(Math.abs((levels[i]?.sigma ?? NaN) - sigma) < 1e-9);
    if (sigma > 0) assertEquals(levels[i]?.t, levels[i]?.sigma); // what NCSN++ is told
  });
});

Deno.test("processOf() has no signal at the last timestep, or too little to divide by", () => {
  const config = { rescale_betas_zero_snr: true, prediction_type: "v_prediction" };
  assertEquals(processOf(config).atTime(999), { t: 999, alpha: 0, sigma: 1 });
  for (const name of ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler"]) {
    const { alpha, sigma } = processOf({ ...config, _class_name: name }).atTime(999);
    assertEquals([alpha, sigma / alpha], [2 ** -12, Math.sqrt(2 ** 24 - 1)]);
  }
});

Deno.test("unfollowed() names keys that no scheduler has and values that nothing here does", () => {
  const known = {
    _class_name: "DPMSolverMultistepScheduler",
    _diffusers_version: "0.42.1",
    solver_order: 3,
    beta_schedule: "linear",
    skip_prk_steps: true, // of another class
    solver_p: null,
    disable_corrector: [],
    use_dynamic_shifting: false,
    lambda_min_clipped: -Infinity,
  };
  assertEquals(unfollowed(known), []);
  assertEquals(unfollowed({ ...known, solver_ordre: 3 }), ["solver_ordre=3"]);
  assertEquals(unfollowed({ interpolation_type: "log_linear", invert_sigmas: true }), [
    'interpolation_type="log_linear"',
    "invert_sigmas=true",
  ]);
  assertEquals(unfollowed({ _class_name: "MyScheduler" }), ['_class_name="MyScheduler"']);
  assertEquals(unfollowed({ use_dynamic_shifting: true }), ["use_dynamic_shifting=true"]);
  assertEquals(unfollowed({ disable_corrector: [0, 1] }), []);
  assertEquals(unfollowed({ disable_corrector: [2] }), ["disable_corrector=[2]"]);
});

Deno.test("routeOf() refuses what it cannot follow", () => {
  const process = processOf({});
  const route = (text: string, steps = 5) => () => routeOf(process, text, steps);
  const refused: [() => unknown, string][] = [
    [route("karas"), 'Cannot use spacing "karas": did you mean karras?'],
    [route("even"), 'Cannot use spacing "even": it must be leading, linspace, trailing, karras'],
    [route("karras,rho=0"), 'Cannot use spacing "karras" with rho=0: rho must be at least 0.1'],
    [route("karras,sigma_min=200"), "sigma_min must be below sigma_max"],
    [
      route("trailing,rho=7"),
      'Cannot use spacing "trailing" with rho=7: its options are lambda_min',
    ],
    [route("trailing", 1001), "steps must be between 1 and 1000"],
    [route("leading,offset=1", 1000), "the first would be at timestep 1000"],
    [route("lcm", 51), "original must be between steps and 1000"],
    [route("flow"), "it is no flow model"],
    [route("3000"), "section 1 has only 1000 of them"],
    [() => routeOf(processOf({ _class_name: "EDMEulerScheduler" }), "leading", 5), "continuous"],
    [
      () => routeOf(processOf({ _class_name: "EDMEulerScheduler" }), "karras,t=round", 5),
      "continuous",
    ],
    [() => routeOf(processOf({ _class_name: "EDMEulerScheduler" }), "ddim25", 5), "continuous"],
    [
      () => routeOf(processOf({ _class_name: "FlowMatchEulerDiscreteScheduler" }), "lambdas", 5),
      "give lambdas a sigma_max",
    ],
  ];
  for (const [visit, message] of refused) assertThrows(visit, RangeError, message);
});
