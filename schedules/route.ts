/**
 * From what is typed for a path to its levels.
 *
 * @module
 */
import type { Level, Options, Values } from "../plugin.ts";
import { alternatives, checkOptions } from "../plugins/options.ts";
import { nearest } from "../plugins/nearest.ts";
import { formatSpec, parseSpec } from "../plugins/spec.ts";
import { type PathRule, timestepsOf } from "./paths/_rule.ts";
import { stretchSigmas } from "./paths/ays.ts";
import { PATH_ALIASES, PATH_RULES } from "./paths/mod.ts";
import { CLEAN, isFlow, type Process } from "./process.ts";
import { isRespacing, respacedTimesteps } from "./respacing.ts";

/** Options that every rule has: how a path begins and ends. */
export const ends = {
  final: {
    type: "choice",
    default: "zero",
    choices: ["zero", "sigma_min", "last"],
    help: "where it ends: without noise, at the model's smallest sigma, or where its last level is",
  },
  start: {
    type: "choice",
    default: "auto",
    choices: ["auto", "noise", "unit"],
    help:
      "noise of the first sigma alone, or as if images of unit variance were in it; auto: the " +
      "former where alpha is 1, and unscaled noise in flows",
  },
} as const satisfies Options;

/** The levels of a run and the noise that it starts with. */
export interface Route {
  /** One level for each step, the noisiest first, then the one at which the last step ends. */
  readonly levels: readonly Level[];
  /** The standard deviation of the images that it starts with. */
  readonly start: number;
  /** The rule with all its options, as it is typed; absent where the levels were listed. */
  readonly spacing?: string | undefined;
  /** The sigmas, where they were listed. */
  readonly sigmas?: readonly number[] | undefined;
}

/**
 * The path of n steps by a rule such as `karras,rho=7` or `trailing`, or by one of OpenAI's respacing
 * strings, which say n themselves.
 *
 * @throws {RangeError} If there is no such rule, an option is wrong or steps do not fit.
 * @throws {SyntaxError} If the text cannot be read.
 *
 * @example
 * ```ts
 * import { routeOf } from "./route.ts";
 * import { edmProcess } from "./continuous.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { levels } = routeOf(edmProcess({ sigmaMin: 1, sigmaMax: 9 }), "karras,rho=2", 3);
 * assertEquals(levels.map(({ sigma }) => sigma), [9, 4, 1, 0]);
 * ```
 */
export function routeOf(process: Process, text: string, steps: number): Route {
  if (isRespacing(text)) {
    return {
      ...timestepRoute(process, respacedTimesteps(timestepsOf(process, text), text)),
      spacing: text,
    };
  }
  const { name, options: given } = parseSpec(text);
  const rule = findRule(name);
  const options = checkOptions("spacing", rule.name, { ...rule.options, ...ends }, given);
  if (!Number.isInteger(steps) || steps < 1) {
    throw new RangeError(`Cannot make ${steps} steps: it must be a whole number from 1 on`);
  }
  const levels = rule.place(process, steps, options);
  return { ...finish(process, levels, options), spacing: formatSpec(rule.name, options) };
}

/**
 * The rule of a name or of another name for it.
 *
 * @throws {RangeError} If there is none.
 */
export function findRule(typed: string): PathRule {
  const name = PATH_ALIASES[typed] ?? typed;
  const rule = Object.hasOwn(PATH_RULES, name) ? PATH_RULES[name] : undefined;
  if (rule !== undefined) return rule;
  const near = nearest(typed, [...Object.keys(PATH_RULES), ...Object.keys(PATH_ALIASES)]);
  const all = `${alternatives(Object.keys(PATH_RULES))}, or like "250", "10,10,5" or "ddim25"`;
  throw new RangeError(
    `Cannot use spacing "${typed}": ${
      near === undefined ? `it must be ${all}` : `did you mean ${near}?`
    }`,
  );
}

/**
 * The path that visits training timesteps, fractional ones too, and ends clean.
 *
 * @throws {RangeError} If there are none, one is out of range, or they do not fall.
 */
export function timestepRoute(process: Process, timesteps: readonly number[]): Route {
  if (process.timesteps === undefined) {
    throw new RangeError("Cannot visit timesteps with this model: its time is continuous");
  }
  checkFalling("timestep", timesteps);
  const last = process.timesteps - 1;
  const outside = timesteps.find((t) => !(t >= 0 && t <= last));
  if (outside !== undefined) {
    throw new RangeError(`Cannot visit timestep ${outside}: it must be between 0 and ${last}`);
  }
  return finish(process, timesteps.map((t) => process.atTime(t)));
}

/**
 * The path through sigmas, of which the last is where the last step ends: 0 for clean images.
 *
 * @param steps Where it is given, the list is stretched to as many, log-linearly.
 * @throws {RangeError} If there are fewer than two, one is out of range, or they do not fall.
 */
export function sigmaRoute(process: Process, sigmas: readonly number[], steps?: number): Route {
  checkFalling("sigma", sigmas);
  if (sigmas.length < 2) throw new RangeError("Cannot visit fewer than two sigmas");
  const count = steps ?? sigmas.length - 1;
  let list: readonly number[] = sigmas;
  if (count !== sigmas.length - 1) {
    const clean = sigmas.at(-1) === 0;
    const noisy = clean ? sigmas.slice(0, -1) : sigmas;
    list = [...stretchSigmas(noisy, clean ? count : count + 1), ...clean ? [0] : []];
  }
  const levels = list.map((sigma) => process.atSigma(sigma));
  return { levels, start: startOf(process, levels, "auto"), sigmas: list };
}

/** Refuses an empty list, and one that does not fall. */
function checkFalling(what: "timestep" | "sigma", list: readonly number[]): void {
  if (list.length === 0) throw new RangeError(`Cannot visit ${what}s: there are none`);
  for (const [i, value] of list.entries()) {
    const before = list[i - 1] ?? Infinity;
    if (!(value < before)) {
      throw new RangeError(`Cannot visit ${what} ${value} after ${before}: ${what}s must fall`);
    }
  }
}

function finish(
  process: Process,
  levels: readonly Level[],
  { final, start }: Pick<Values<typeof ends>, "final" | "start"> = { final: "zero", start: "auto" },
): Route {
  const cleanest = () =>
    process.timesteps === undefined ? process.atSigma(process.sigmaMin) : process.atTime(0);
  const end = { zero: () => CLEAN, sigma_min: cleanest, last: () => levels.at(-1) ?? CLEAN };
  const all = [...levels, end[final]()];
  return { levels: all, start: startOf(process, all, start) };
}

/**
 * diffusers starts with noise of sigma alone in most solvers that step in sigma, and with noise of
 * √(sigma² + 1) where their path is `leading`, in its own scale, that is with images as of unit
 * variance. Flow models start with noise as it is, wherever their first sigma is.
 */
function startOf(
  process: Process,
  [first = CLEAN]: readonly Level[],
  start: Values<typeof ends>["start"],
): number {
  if (start === "auto" && isFlow(process)) return 1;
  const alone = start === "noise" || start === "auto" && first.alpha === 1;
  return alone ? first.sigma : Math.hypot(first.alpha, first.sigma);
}
