/**
 * What a sampling run does, settled before it starts: the model's recommendations, what the user
 * asks for instead, and the plugins that follow from both.
 *
 * @module
 */
import { editedPath } from "../editing/path.ts";
import type { EditSettings } from "../editing/settings.ts";
import { guidances as builtinGuidances } from "../guidance/mod.ts";
import { operators } from "../guidance/operators/mod.ts";
import type { Guidance, Level, Sampler } from "../plugin.ts";
import { choosePlugin, type Chosen, resolveSpec } from "../plugins/load.ts";
import type { Kind } from "../plugins/options.ts";
import { formatSpec } from "../plugins/spec.ts";
import { aliases, samplers as builtinSamplers } from "../samplers/mod.ts";
import {
  type Process,
  processOf,
  type Route,
  routeOf,
  type SchedulerConfig,
  schedulerName,
  sigmaRoute,
  spacingOf,
  timestepRoute,
} from "../schedules/mod.ts";
import { inFloat32 } from "./float32.ts";
import type { Model } from "./model.ts";
import { clippingOf, samplerOf } from "./scheduler.ts";
import { type UnClip, UNCLIP_DEFAULTS } from "./unclip.ts";

/** What may be asked for; the model's recommendation stands where a field is absent. */
export interface Wishes {
  readonly sampler?: string | undefined;
  readonly steps?: number | undefined;
  /** Guidances in order; `["none"]` for none at all, not even the model's own clipping. */
  readonly guidance?: readonly string[] | undefined;
  /** A rule such as `karras,rho=5`, or OpenAI's respacing such as `ddim25`, which says the steps. */
  readonly spacing?: string | undefined;
  /** Training timesteps to visit, instead of a rule. */
  readonly timesteps?: readonly number[] | undefined;
  /** Sigmas to visit, instead of a rule; the last is where the run ends. */
  readonly sigmas?: readonly number[] | undefined;
  /** Of unCLIP: steps of its prior and how far guidance leads those, and steps that enlarge. */
  readonly priorSteps?: number | undefined;
  readonly priorScale?: number | undefined;
  readonly superResSteps?: number | undefined;
  /** How much of the path a picture goes down, and how a part of it is kept. */
  readonly edit?: Pick<EditSettings, "strength" | "inpaint"> | undefined;
}

/** A settled run. */
export interface Plan extends Pick<Wishes, "timesteps" | "sigmas"> {
  readonly sampler: Chosen<Sampler>;
  readonly guidances: readonly Chosen<Guidance>[];
  readonly steps: number;
  /** The rule of the path with all its options; absent where its levels were listed. */
  readonly spacing?: string | undefined;
  /** The levels that will be visited. */
  readonly levels: readonly Level[];
  /** The standard deviation of the noise that it starts with, where the path says so. */
  readonly start?: number | undefined;
  /** Where the levels are from. */
  readonly process: Process;
  /** What an unCLIP draws before and behind x. */
  readonly around?: Around | undefined;
}

/** The runs of unCLIP around its decoder's. */
export interface Around {
  readonly prior: Plan;
  readonly priorScale: number;
  readonly superResolution: Plan;
}

/** What a plan takes of a model. */
export type Sampled = Pick<Model, "scheduler" | "recommended" | "text" | "unclip">;

/** The guidance of models that read prompts, as those of Stable Diffusion were shown. */
const TEXT_GUIDANCE = "cfg,scale=7.5";

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
  if (wishes.sampler === undefined) refuseCode("sampler", [recommended.sampler ?? "ddim"]);
  if (wishes.guidance === undefined) refuseCode("guidance", recommended.guidance ?? []);
  const name = wishes.sampler ?? recommended.sampler ?? samplerOf(scheduler);
  const chosen = await choosePlugin("sampler", name, builtinSamplers, { aliases });
  const rounds = schedulerName(scheduler) === "UnCLIPScheduler" && chosen.plugin.name === "ddpm";
  const sampler = rounds ? inFloat32(chosen) : chosen;
  const asked = wishes.guidance ?? recommended.guidance ?? (model.text ? [TEXT_GUIDANCE] : []);
  if (asked.includes("none") && asked.length > 1) {
    throw new RangeError('Cannot use guidance "none" together with others: leave one of them out');
  }
  const specs = asked.length === 1 && asked[0] === "none"
    ? []
    : [...asked, ...ownClipping(model, sampler, asked)];
  const guidances: Chosen<Guidance>[] = [];
  for (const spec of specs) guidances.push(await choosePlugin("guidance", spec, builtinGuidances));
  const process = processOf(scheduler);
  const { levels, start, spacing, sigmas } = chooseRoute(model, process, wishes);
  const visited = editedPath(sampler, levels, process, wishes.edit);
  const around = await planAround(model.unclip, wishes);
  return {
    sampler,
    guidances,
    steps: levels.length - 1,
    spacing,
    ...(wishes.timesteps && { timesteps: wishes.timesteps }),
    ...(sigmas && { sigmas }),
    levels: visited,
    start: visited[0] === levels[0] ? start : undefined,
    process,
    ...around && { around },
  };
}

/** Plans what stands around an unCLIP decoder; another model has no such wishes. */
async function planAround(unclip: UnClip | undefined, wishes: Wishes): Promise<Around | undefined> {
  const { priorSteps, priorScale, superResSteps } = wishes;
  if (unclip === undefined) {
    const typed = {
      "prior-steps": priorSteps,
      "prior-scale": priorScale,
      "super-res-steps": superResSteps,
    };
    const found = Object.entries(typed).find(([, wish]) => wish !== undefined);
    if (found === undefined) return undefined;
    throw new RangeError(`Cannot use --${found[0]} with this model: only those of unCLIP take it`);
  }
  const of = (scheduler: SchedulerConfig, steps: number, guidance: readonly string[]) =>
    makePlan({ scheduler, recommended: {} }, { steps, guidance });
  const scale = priorScale ?? UNCLIP_DEFAULTS.priorScale;
  const guidance = scale === 1 ? [] : [`cfg,scale=${scale}`];
  return {
    prior: await of(unclip.prior.scheduler, priorSteps ?? UNCLIP_DEFAULTS.priorSteps, guidance),
    priorScale: scale,
    superResolution: await of(
      unclip.superResolution.scheduler,
      superResSteps ?? UNCLIP_DEFAULTS.superResSteps,
      [],
    ),
  };
}

/** The path that was asked for, that the model recommends, or that its scheduler makes. */
function chooseRoute({ scheduler, recommended }: Sampled, process: Process, wishes: Wishes): Route {
  const { spacing, timesteps, sigmas } = wishes;
  const given = Object.entries({ spacing, timesteps, sigmas }).filter(([, wish]) =>
    wish !== undefined
  );
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(" and ");
    throw new RangeError(`Cannot use ${names} together: each says which levels a run visits`);
  }
  if (sigmas !== undefined) return sigmaRoute(process, sigmas, wishes.steps);
  if (timesteps !== undefined) {
    const { steps = timesteps.length } = wishes;
    if (steps === timesteps.length) return timestepRoute(process, timesteps);
    throw new RangeError(`Cannot make ${steps} steps of ${timesteps.length} timesteps`);
  }
  const steps = wishes.steps ?? recommended.steps ?? STEPS;
  const rule = spacing ?? recommended.spacing ?? spacingOf(scheduler, steps, process);
  const route = routeOf(process, rule, steps);
  const made = route.levels.length - 1;
  if (wishes.steps === undefined || wishes.steps === made) return route;
  throw new RangeError(`Cannot make ${wishes.steps} steps of the ${made} that "${rule}" keeps`);
}

/** Whether a text asks for a plugin that does not come with the project, hence for a file's code. */
export function namesCode(kind: Kind, text: string): boolean {
  const builtins = kind === "sampler" ? builtinSamplers : builtinGuidances;
  const { name, options } = resolveSpec(text, builtins, { aliases });
  const { file, operator } = options; // a loss is code, too
  return !Object.hasOwn(builtins, name) || file !== undefined ||
    operator !== undefined && !Object.hasOwn(operators, operator);
}

/** Code is run where a person names it, never because a model does. */
function refuseCode(kind: Kind, specs: readonly string[]): void {
  const found = specs.find((spec) => spec !== "none" && namesCode(kind, spec));
  if (found === undefined) return;
  throw new TypeError(
    `Cannot use the ${kind} "${found}" that the model recommends: it does not come with the program; if you trust it, ask for it with --${kind}`,
  );
}

/** What the model's scheduler clips by itself, unless a guidance that does so was asked for. */
function ownClipping(
  { scheduler }: Sampled,
  sampler: Chosen<Sampler>,
  asked: readonly string[],
): string[] {
  if (asked.some((spec) => /^(clip|threshold)(,|$)/.test(spec))) return [];
  const own = clippingOf(scheduler, sampler.plugin.name);
  return own === undefined ? [] : [own];
}

/** A chosen plugin as it is typed, with all its options: what {@linkcode makePlan} takes again. */
export function specOf({ source, options, from, until }: Chosen<Sampler | Guidance>): string {
  const interval = { ...(from > 0 && { from }), ...(until < 1 && { until }) };
  const said = Object.entries(options).filter(([, value]) => `${value}` !== ""); // nothing to read
  return formatSpec(source, { ...Object.fromEntries(said), ...interval });
}
