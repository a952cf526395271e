/**
 * What a sampling run does, settled before it starts: the model's recommendations, what the user
 * asks for instead, and the plugins that follow from both.
 *
 * @module
 */
import { guidances as builtinGuidances } from "../guidance/mod.ts";
import type { Guidance, Level, Sampler } from "../plugin.ts";
import { choosePlugin, type Chosen, resolveSpec } from "../plugins/load.ts";
import { alternatives, type Kind } from "../plugins/options.ts";
import { formatSpec } from "../plugins/spec.ts";
import { aliases, samplers as builtinSamplers } from "../samplers/mod.ts";
import { pathOf, type SchedulerConfig, type Spacing, SPACINGS } from "../schedules/mod.ts";
import type { Model } from "./model.ts";
import { timelineOf } from "./run.ts";

/** What may be asked for; the model's recommendation stands where a field is absent. */
export interface Wishes {
  readonly sampler?: string | undefined;
  readonly steps?: number | undefined;
  /** Guidances in order; `["none"]` for none at all, not even the model's own clipping. */
  readonly guidance?: readonly string[] | undefined;
  readonly spacing?: string | undefined;
}

/** A settled run. */
export interface Plan {
  readonly sampler: Chosen<Sampler>;
  readonly guidances: readonly Chosen<Guidance>[];
  readonly steps: number;
  readonly spacing: Spacing | undefined;
  /** The levels that will be visited. */
  readonly levels: readonly Level[];
}

/** What a plan takes of a model. */
export type Sampled = Pick<Model, "scheduler" | "recommended">;

/** Steps where neither the user nor the model says. */
const STEPS = 50;

/**
 * Settles a run.
 *
 * @throws {RangeError} Where a plugin is unknown, or a value out of range.
 * @throws {TypeError} Where a model recommends code that does not come with the project.
 */
export async function makePlan(model: Sampled, wishes: Wishes): Promise<Plan> {
  const { recommended, scheduler } = model;
  const ancestral = scheduler["_class_name"] === "DDPMScheduler";
  if (wishes.sampler === undefined) refuseCode("sampler", [recommended.sampler ?? "ddim"]);
  if (wishes.guidance === undefined) refuseCode("guidance", recommended.guidance ?? []);
  const ownSampler = ancestral ? formatSpec("ddpm", ownVariance(scheduler)) : "ddim";
  const name = wishes.sampler ?? recommended.sampler ?? ownSampler;
  const sampler = await choosePlugin("sampler", name, builtinSamplers, { aliases });
  const asked = wishes.guidance ?? recommended.guidance ?? [];
  if (asked.includes("none") && asked.length > 1) {
    throw new RangeError('Cannot use guidance "none" together with others: leave one of them out');
  }
  const specs = asked.length === 1 && asked[0] === "none"
    ? []
    : [...asked, ...ownClipping(model, asked)];
  const guidances: Chosen<Guidance>[] = [];
  for (const spec of specs) guidances.push(await choosePlugin("guidance", spec, builtinGuidances));
  const steps = wishes.steps ?? recommended.steps ?? STEPS;
  const wanted = wishes.spacing ?? recommended.spacing;
  const spacing = SPACINGS.find((each) => each === wanted);
  if (spacing === undefined && wanted !== undefined) {
    throw new RangeError(
      `Cannot use spacing "${wanted}": it must be ${alternatives(SPACINGS)}`,
    );
  }
  const levels = timelineOf(sampler, pathOf(scheduler, steps, { spacing }));
  return { sampler, guidances, steps, spacing, levels };
}

/** Whether a text asks for a plugin that does not come with the project, hence for a file's code. */
export function namesCode(kind: Kind, text: string): boolean {
  const builtins = kind === "sampler" ? builtinSamplers : builtinGuidances;
  return !Object.hasOwn(builtins, resolveSpec(text, builtins, { aliases }).name);
}

/** Code is run where a person names it, never because a model does. */
function refuseCode(kind: Kind, specs: readonly string[]): void {
  const found = specs.find((spec) => spec !== "none" && namesCode(kind, spec));
  if (found === undefined) return;
  throw new TypeError(
    `Cannot use the ${kind} "${found}" that the model recommends: it does not come with the program; if you trust it, ask for it with --${kind}`,
  );
}

/** The variance that the scheduler asks for, where it is not what ddpm takes by itself. */
function ownVariance(scheduler: SchedulerConfig): Record<string, string> {
  return String(scheduler["variance_type"]).startsWith("fixed_large") ? { variance: "large" } : {};
}

/** What the model's scheduler clips by itself, unless a guidance that does so was asked for. */
function ownClipping({ scheduler }: Sampled, asked: readonly string[]): string[] {
  if (asked.some((spec) => /^(clip|threshold)(,|$)/.test(spec))) return [];
  const number = (key: string, otherwise: number) => {
    const value = scheduler[key];
    return typeof value === "number" ? value : otherwise;
  };
  if (scheduler["thresholding"] === true) {
    const percentile = number("dynamic_thresholding_ratio", 0.995);
    return [formatSpec("threshold", { percentile, max: number("sample_max_value", 1) })];
  }
  const clips = /^DD[PI]MScheduler$/.test(String(scheduler["_class_name"])); // by default
  const clip = scheduler["clip_sample"] ?? clips;
  return clip === true ? [formatSpec("clip", { range: number("clip_sample_range", 1) })] : [];
}

/** A chosen plugin as it is typed, with all its options: what {@linkcode makePlan} takes again. */
export function specOf({ source, options, from, until }: Chosen<Sampler | Guidance>): string {
  const interval = { ...(from > 0 && { from }), ...(until < 1 && { until }) };
  return formatSpec(source, { ...options, ...interval });
}
