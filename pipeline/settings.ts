/**
 * The settings of a run: with the model, all that its images depend on. PNGs keep them as text.
 *
 * @module
 */
import { imageSeeds, type NoiseKind, parseSeed, type Seed } from "../noise/mod.ts";
import { nearest } from "../plugins/nearest.ts";
import type { Conditions } from "./denoiser.ts";
import type { Model } from "./model.ts";

/** What a PNG keeps. */
export interface Settings {
  /** The model's name, not its path. */
  readonly model: string;
  /** Of the first image; image i has seed + i. */
  readonly seed: Seed;
  readonly count: number;
  /** Labels given to the images in turn, `none` for the null class; empty without classes. */
  readonly classes: readonly string[];
  /** True where the network is given the null class, and the class steers guidance alone. */
  readonly unconditional: boolean;
  readonly steps: number;
  /** Plugins as they are typed, with all options. */
  readonly sampler: string;
  readonly guidance: readonly string[];
  /** The rule of the path with all its options. */
  readonly spacing?: string | undefined;
  /** The timesteps or sigmas that it visits, where they were listed instead. */
  readonly timesteps?: readonly number[] | undefined;
  readonly sigmas?: readonly number[] | undefined;
  readonly rng: NoiseKind;
}

/** The key of {@linkcode Settings} among a PNG's texts. */
const KEY = "denoise";

/** Texts of a PNG: the settings as JSON, and the line that other tools show. */
export function settingsText(
  settings: Settings,
  { size, version }: { size: string; version: string },
): Record<string, string> {
  const line = [
    `Steps: ${settings.steps}`,
    `Sampler: ${settings.sampler}`,
    `Guidance: ${settings.guidance.join(" + ")}`,
    `Path: ${describeRoute(settings)}`,
    `Class: ${settings.classes.join(" ") || "none"}`,
    `Seed: ${settings.seed}`,
    `Size: ${size}`,
    `Model: ${settings.model}`,
    `RNG: ${settings.rng}`,
    `Version: denoise ${version}`,
  ].join(", ");
  const own = { ...settings, seed: String(settings.seed), version };
  return { parameters: line, [KEY]: JSON.stringify(own) };
}

/** The levels that a run visits, in short. */
export function describeRoute({ spacing, timesteps, sigmas }: Settings): string {
  if (timesteps !== undefined) return `timesteps ${timesteps.join(" ")}`;
  return sigmas === undefined ? spacing ?? "the model's" : `sigmas ${sigmas.join(" ")}`;
}

/**
 * The settings among a PNG's texts.
 *
 * @param name how messages call the file.
 * @throws {SyntaxError} Where there are none or they are damaged.
 */
export function parseSettings(texts: Readonly<Record<string, string>>, name: string): Settings {
  const text = texts[KEY];
  if (text === undefined) {
    throw new SyntaxError(`Cannot repeat "${name}": it holds no settings of denoise`);
  }
  const fail = (cause?: unknown) =>
    new SyntaxError(`Cannot repeat "${name}": its settings are damaged`, { cause });
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fail(cause);
  }
  const { model, seed, count, classes, unconditional, steps, sampler, guidance, rng } = value ?? {};
  const { spacing, timesteps, sigmas } = value ?? {};
  const isTexts = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((each) => typeof each === "string");
  const isNumbers = (list: unknown): list is number[] | undefined =>
    list === undefined || Array.isArray(list) && list.every((each) => Number.isFinite(each));
  const isCount = (number: unknown): number is number =>
    Number.isSafeInteger(number) && Number(number) >= 1;
  if (typeof model !== "string" || typeof seed !== "string" || typeof sampler !== "string") {
    throw fail();
  }
  if (!isCount(count) || !isCount(steps) || !isTexts(classes) || !isTexts(guidance)) throw fail();
  if (!isNumbers(timesteps) || !isNumbers(sigmas)) throw fail();
  if (rng !== "philox" && rng !== "torch") throw fail();
  return {
    model,
    seed: parseSeed(seed),
    count,
    classes,
    unconditional: unconditional === true,
    steps,
    sampler,
    guidance,
    spacing: typeof spacing === "string" ? spacing : undefined,
    timesteps,
    sigmas,
    rng,
  };
}

/** The settings that draw one image of a run by itself. */
export function settingsOfImage(settings: Settings, index: number): Settings {
  const label = labelOf(settings, index);
  return {
    ...settings,
    seed: imageSeeds(settings.seed, 1, index)[0] ?? settings.seed,
    count: 1,
    classes: label === undefined ? [] : [label],
  };
}

function labelOf({ classes }: Settings, index: number): string | undefined {
  return classes[index % classes.length];
}

/**
 * The label that a name or a number stands for, or `none`.
 *
 * @throws {RangeError} Where the model has no such class.
 */
export function findClass({ labels, nullClass, name: model }: Model, name: string): string {
  if (labels.length === 0) throw new RangeError(`Cannot use --class: ${model} has no classes`);
  if (name === "none") {
    if (nullClass !== undefined) return name;
    throw new RangeError(`Cannot use --class none: ${model} was trained without a null class`);
  }
  const numbered = /^\d+$/.test(name) ? labels[Number(name)] : undefined;
  const label = labels.includes(name) ? name : numbered;
  if (label !== undefined) return label;
  const near = nearest(name, labels);
  const known = labels.length > 12 ? [...labels.slice(0, 12), "…"] : labels;
  throw new RangeError(
    `Cannot find class "${name}": ${
      near === undefined ? `${model} has ${known.join(", ")}` : `did you mean ${near}?`
    }`,
  );
}

/**
 * What the networks are given for these images.
 *
 * @throws {RangeError} Where the model cannot predict without a class and should.
 */
export function conditionsOf(
  model: Model,
  settings: Settings,
  indices: readonly number[],
): Conditions {
  const { nullClass, labels } = model;
  if (model.unet.config.num_class_embeds === null) return {};
  const numbers = indices.map((index) => labels.indexOf(labelOf(settings, index) ?? "none"));
  const free = settings.unconditional || numbers.some((label) => label < 0);
  if (free && nullClass === undefined) {
    throw new RangeError(`Cannot predict without a class: ${model.name} has no null class`);
  }
  return {
    network: Int32Array.from(
      numbers,
      (label) => label < 0 || settings.unconditional ? nullClass ?? 0 : label,
    ),
    classifier: numbers.every((label) => label >= 0) ? Int32Array.from(numbers) : undefined,
  };
}

/**
 * The part of a run that a shard draws, as indices from `first` to before `end`.
 *
 * @param text `I/N` with I from 1 to N.
 * @throws {RangeError} Where it is not.
 */
export function shardOf(text: string, count: number): { first: number; end: number } {
  const [, part, parts] = text.match(/^(\d+)\/(\d+)$/) ?? [];
  const [i, n] = [Number(part), Number(parts)];
  if (!(i >= 1 && i <= n)) {
    throw new RangeError(
      `Cannot use --shard ${text}: it must be I/N with I from 1 to N, as in 1/2`,
    );
  }
  return { first: Math.floor(count * (i - 1) / n), end: Math.floor(count * i / n) };
}
