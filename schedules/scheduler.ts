/**
 * The noise process and the path of a `scheduler_config.json`.
 *
 * @module
 */
import type { Level } from "../plugin.ts";
import { formatSpec } from "../plugins/spec.ts";
import {
  choiceOf,
  familyOf,
  flagOf,
  numberOf,
  type SchedulerConfig,
  withDefaults,
} from "./_config.ts";
import { alphasCumprodOf } from "./betas.ts";
import { continuousVpProcess, edmProcess, flowProcess, veProcess } from "./continuous.ts";
import { discreteProcess } from "./discrete.ts";
import type { Conversion, Process } from "./process.ts";
import { type Route, routeOf } from "./route.ts";
import { SPACINGS } from "./spacing.ts";

/**
 * The noise process that a model was trained on.
 *
 * @throws {TypeError} If a key of the configuration has a value of the wrong type.
 * @throws {RangeError} If a value is out of its range.
 */
export function processOf(config: SchedulerConfig): Process {
  const values = withDefaults(config);
  const range = () => ({
    sigmaMin: numberOf(values, "sigma_min"),
    sigmaMax: numberOf(values, "sigma_max"),
  });
  const family = familyOf(config);
  if (family === "edm") return edmProcess(range());
  if (family === "ve") return veProcess(range());
  if (family === "flow" || flagOf(values, "use_flow_sigmas")) {
    return flowProcess(numberOf(values, "num_train_timesteps"));
  }
  const discrete = discreteProcess(alphasCumprodOf(config), dividesByAlpha(config));
  const told = values["timestep_type"] === "continuous" &&
    values["prediction_type"] === "v_prediction";
  return told ? continuousVpProcess(sigmaEnds(values, discrete)) : discrete;
}

/** Where the class steps in sigma / alpha, which has to be finite. */
function dividesByAlpha(config: SchedulerConfig): boolean {
  return ["ode", "solver"].includes(familyOf(config));
}

/**
 * The rule by which a model's own scheduler spaces n steps, as it is typed after `--spacing`.
 *
 * @throws {TypeError} If a key of the configuration has a value of the wrong type.
 */
export function spacingOf(
  config: SchedulerConfig,
  steps: number,
  process = processOf(config),
): string {
  const values = withDefaults(config);
  switch (familyOf(config)) {
    case "consistency":
      return formatSpec("lcm", {
        original: numberOf(values, "original_inference_steps"),
        // TCD's last step goes to timestep 0, whatever the file says.
        ...(values["_class_name"] === "TCDScheduler"
          ? { final: "sigma_min" }
          : finalTimestep(values)),
      });
    case "edm":
      return edmSpacing(values);
    case "flow":
      return flowSpacing(values, steps, process);
    case "ve":
      return "exponential";
    case "ode":
      return odeSpacing(values, steps, process);
    case "solver":
      return solverSpacing(values, steps);
    case "timesteps":
      return formatSpec(spacingName(values), { ...offsetOf(values), ...finalTimestep(values) });
  }
}

/** The route of a model's own scheduler. */
export function ownRoute(config: SchedulerConfig, steps: number): Route {
  const process = processOf(config);
  return routeOf(process, spacingOf(config, steps, process), steps);
}

/**
 * The levels of a run of n steps as a model's scheduler of diffusers places them, the noisiest first,
 * and the one at which the last step ends. `t` is its `timesteps`, sigma / alpha its `sigmas`; stages
 * that it counts as timesteps of their own (Heun, KDPM2, PNDM) are the samplers' business.
 *
 * @param spacing A rule to use instead, such as `karras,rho=5`.
 *
 * @throws {TypeError} If a key of the configuration has a value of the wrong type.
 * @throws {RangeError} If a value is out of its range, or steps do not fit.
 */
export function pathOf(config: SchedulerConfig, steps: number, spacing?: string): readonly Level[] {
  if (spacing === undefined) return ownRoute(config, steps).levels;
  return routeOf(processOf(config), spacing, steps).levels;
}

function spacingName(values: SchedulerConfig) {
  return choiceOf(values, "timestep_spacing", SPACINGS);
}

/** Where a path of timesteps ends. */
function finalTimestep(values: SchedulerConfig): Record<string, string> {
  return flagOf(values, "set_alpha_to_one") ? {} : { final: "sigma_min" };
}

/** Where a path of sigmas ends. */
function finalSigma(values: SchedulerConfig): Record<string, string> {
  const final = choiceOf(values, "final_sigmas_type", ["zero", "sigma_min"]);
  return final === "zero" ? {} : { final };
}

/** `steps_offset`, which `leading` alone has. */
function offsetOf(values: SchedulerConfig): Record<string, number> {
  const offset = numberOf(values, "steps_offset");
  return offset !== 0 && spacingName(values) === "leading" ? { offset } : {};
}

/** The rule that the flags ask for instead of timesteps, if one does. */
function sigmaRuleOf(values: SchedulerConfig): string | undefined {
  if (flagOf(values, "use_karras_sigmas")) return "karras";
  if (flagOf(values, "use_lu_lambdas")) return "lambdas";
  if (flagOf(values, "use_exponential_sigmas")) return "exponential";
  return flagOf(values, "use_beta_sigmas") ? "beta" : undefined;
}

/** Sigmas that the file names, else the process's own. */
function sigmaEnds(values: SchedulerConfig, process: Process) {
  const end = (key: string, own: number) =>
    typeof values[key] === "number" ? numberOf(values, key) : own;
  return {
    sigmaMin: end("sigma_min", process.sigmaMin),
    sigmaMax: end("sigma_max", process.sigmaMax),
  };
}

function rangeOptions(
  process: Process,
  { sigmaMin, sigmaMax }: { sigmaMin: number; sigmaMax: number },
): Record<string, number> {
  return {
    ...(sigmaMin !== process.sigmaMin && { sigma_min: sigmaMin }),
    ...(sigmaMax !== process.sigmaMax && { sigma_max: sigmaMax }),
  };
}

function edmSpacing(values: SchedulerConfig): string {
  const name = choiceOf({ sigma_schedule: "karras", ...values }, "sigma_schedule", [
    "karras",
    "exponential",
  ]);
  const rho = name === "karras" ? { rho: numberOf(values, "rho") } : {};
  return formatSpec(name, { ...rho, ...finalSigma(values), start: "unit" });
}

/** DPM-Solver, DEIS and UniPC: they tell the network whole timesteps. */
function solverSpacing(values: SchedulerConfig, steps: number): string {
  const own = finalSigma(values);
  const rule = sigmaRuleOf(values);
  // UniPC and DEIS go where their last sigma is, DPM-Solver to the model's smallest.
  const repeats = !String(values["_class_name"]).startsWith("DPMSolver");
  const final = repeats && own["final"] !== undefined ? { final: "last" } : own;
  if (rule === undefined && flagOf(values, "use_flow_sigmas")) {
    const least = 1 / numberOf(values, "num_train_timesteps");
    const shift = numberOf(values, "flow_shift");
    // Of n + 1 even sigmas, from 1 to 1 / T or from 1 - 1 / T to 0, all but the last. UniPC has to
    // divide by alpha, and starts a millionth below 1 (after the shift).
    const top = 1 / (1 + shift * 1e-6);
    const [max, min] = values["_class_name"] === "UniPCMultistepScheduler"
      ? [top, least]
      : [1 - least, 0];
    const sigma_min = max + (min - max) * (steps - 1) / steps;
    return formatSpec("flow", {
      shift,
      sigma_min,
      sigma_max: max,
      t: "floor",
      ...terminalOf(values),
      ...final,
    });
  }
  if (rule !== undefined) {
    const cosine = values["beta_schedule"] === "squaredcos_cap_v2" &&
      values["_class_name"] === "DPMSolverMultistepScheduler";
    const rounds = (rule === "karras" || rule === "lambdas") && !cosine;
    const t: Conversion = rounds ? "round" : "floor";
    const ends = ["sigma_min", "sigma_max"].filter((key) => typeof values[key] === "number")
      .map((key) => [key, numberOf(values, key)]);
    return formatSpec(rule, { t, ...Object.fromEntries(ends), ...final });
  }
  const single = values["_class_name"] === "DPMSolverSinglestepScheduler";
  const name = single ? "linspace" : spacingName(values);
  const lambda = values["lambda_min_clipped"];
  const clip = typeof lambda === "number" && lambda > -100 ? { lambda_min: lambda } : {};
  const extra = name === "trailing" ? {} : { extra: true };
  return formatSpec(name, { ...(!single && offsetOf(values)), ...extra, ...clip, ...own });
}

/** Euler, Heun, LMS and the others after k-diffusion: timesteps are fractional. */
function odeSpacing(values: SchedulerConfig, steps: number, process: Process): string {
  const name = spacingName(values);
  const timesteps = { ...offsetOf(values), ...(name === "linspace" && { fractional: true }) };
  const start = name === "leading" ? "unit" : "noise";
  const final = finalSigma(values);
  const rule = sigmaRuleOf(values);
  const discrete = process.timesteps !== undefined;
  if (rule === undefined && discrete) return formatSpec(name, { ...timesteps, ...final, start });
  // The sigmas lie between those of the timesteps, unless the file says otherwise.
  const inner = discrete ? routeOf(process, formatSpec(name, timesteps), steps).levels : undefined;
  const ratio = (level: Level | undefined) => level === undefined ? NaN : level.sigma / level.alpha;
  const own = inner === undefined
    ? process
    : { ...process, sigmaMin: ratio(inner.at(-2)), sigmaMax: ratio(inner[0]) };
  const range = rangeOptions(process, sigmaEnds(values, own));
  const rounds = /^KDPM2/.test(String(values["_class_name"])) && rule === "karras";
  const t: Record<string, Conversion> = rounds ? { t: "round" } : {};
  return formatSpec(rule ?? "exponential", { ...range, ...t, ...final, start });
}

function flowSpacing(values: SchedulerConfig, steps: number, process: Process): string {
  const shift = numberOf(values, "shift");
  const least = 1 / numberOf(values, "num_train_timesteps");
  const even = formatSpec("flow", {
    shift,
    // diffusers spaces between sigmas that have been shifted, and shifts once more.
    sigma_min: shift * least / (1 + (shift - 1) * least),
    ...terminalOf(values),
  });
  const rule = sigmaRuleOf(values);
  if (rule === undefined) return even;
  const sigmas = routeOf(process, even, steps).levels;
  return formatSpec(rule, {
    ...rangeOptions(process, {
      sigmaMin: sigmas.at(-2)?.sigma ?? NaN,
      sigmaMax: sigmas[0]?.sigma ?? NaN,
    }),
  });
}

/** The sigma to stretch the last one to, where the file has one. */
function terminalOf(values: SchedulerConfig): Record<string, number> {
  const { shift_terminal: terminal } = values;
  return typeof terminal === "number" && terminal !== 0 ? { terminal } : {};
}
