/**
 * The settings of a run: with the model, all that its images depend on. PNGs keep them as text.
 *
 * @module
 */
import { describeEdit, editOfImage, type EditSettings, parseEdit } from "../editing/settings.ts";
import { imageSeeds, type NoiseKind, parseSeed, type Seed } from "../noise/mod.ts";
import { nearest } from "../plugins/nearest.ts";
import { readNumber } from "../plugins/number.ts";
import { REDUCED, type Reduced } from "../quantization/names.ts";
import type { Conditions } from "./denoiser.ts";
import { edgeOf, factorOf, type Model } from "./model.ts";

/** What a PNG keeps. */
export interface Settings {
  /** The model's name, not its path. */
  readonly model: string;
  /** Of the first image; image i has seed + i. */
  readonly seed: Seed;
  readonly count: number;
  /** Labels given to the images in turn, `none` for the null class; empty without classes. */
  readonly classes: readonly string[];
  /** Texts given to the images in turn, where the model reads such. */
  readonly prompts?: readonly string[] | undefined;
  /** What guidance leads away from; nothing where absent. */
  readonly negative?: string | undefined;
  /** Layers of the text encoder that are left out. */
  readonly clipSkip?: number | undefined;
  /** Pixels, where they are not the model's own. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** How an unCLIP drew before and behind its decoder. */
  readonly unclip?: UnClipSettings | undefined;
  /** How far the image that the network was shown was noised. */
  readonly noiseLevel?: number | undefined;
  /** The variant of the weights that was preferred, such as `fp16`. */
  readonly variant?: string | undefined;
  /** What a file of weights does not say of itself, as `--model-flags` and `--prediction` did. */
  readonly modelFlags?: string | undefined;
  readonly prediction?: "epsilon" | "v_prediction" | undefined;
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
  /** Absent where the network was computed in float32. */
  readonly precision?: Reduced | undefined;
  /** The image, or the folder of images, that are enlarged. */
  readonly lowRes?: string | undefined;
  /** What it begins with and keeps, where that is not noise alone. */
  readonly edit?: EditSettings | undefined;
}

/** What is to be said of the runs around a decoder of unCLIP. */
export interface UnClipSettings {
  readonly priorSteps: number;
  readonly priorScale: number;
  readonly superResSteps: number;
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
    ...settings.prompts ? [] : [`Class: ${settings.classes.join(" ") || "none"}`],
    `Seed: ${settings.seed}`,
    `Size: ${size}`,
    `Model: ${settings.model}`,
    `RNG: ${settings.rng}`,
    ...settings.precision ? [`Precision: ${settings.precision}`] : [],
    ...settings.unclip ? describeUnClip(settings.unclip) : [],
    ...settings.edit ? describeEdit(settings.edit) : [],
    `Version: denoise ${version}`,
  ].join(", ");
  const { prompts, negative = "" } = settings;
  const texts = [
    ...prompts === undefined ? [] : [[...new Set(prompts)].join("\n")],
    ...negative === "" ? [] : [`Negative prompt: ${negative}`],
  ];
  const own = { ...settings, seed: String(settings.seed), version };
  return { parameters: [...texts, line].join("\n"), [KEY]: JSON.stringify(own) };
}

function describeUnClip({ priorSteps, priorScale, superResSteps }: UnClipSettings): string[] {
  return [
    `Prior: ${priorSteps} steps at scale ${priorScale}`,
    `Super-resolution: ${superResSteps} steps`,
  ];
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
  const { spacing, timesteps, sigmas, precision, prompts, negative, clipSkip } = value ?? {};
  const { width, height, noiseLevel, variant, lowRes, unclip } = value ?? {};
  const { modelFlags, prediction } = value ?? {};
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
  const isOptional = (value: unknown, fits: (value: unknown) => boolean) =>
    value === undefined || fits(value);
  const isReduced = (name: unknown) => REDUCED.some((known) => known === name);
  if (!isOptional(precision, isReduced)) throw fail();
  const isText = (value: unknown) => typeof value === "string";
  if (!isOptional(prompts, isTexts) || !isOptional(negative, isText)) throw fail();
  if (!isOptional(width, isCount) || !isOptional(height, isCount)) throw fail();
  if (!isOptional(noiseLevel, Number.isSafeInteger)) throw fail();
  if (!isOptional(variant, isText) || !isOptional(clipSkip, Number.isSafeInteger)) throw fail();
  if (!isOptional(lowRes, isText) || !isOptional(modelFlags, isText)) throw fail();
  if (!isOptional(prediction, (it) => it === "epsilon" || it === "v_prediction")) throw fail();
  const isUnClip = (it: unknown) => {
    const { priorSteps, priorScale, superResSteps } = (it ?? {}) as Record<string, unknown>;
    return isCount(priorSteps) && Number.isFinite(priorScale) && isCount(superResSteps);
  };
  if (!isOptional(unclip, isUnClip)) throw fail();
  const edit = value.edit === undefined ? undefined : parseEdit(value.edit);
  if (value.edit !== undefined && edit === undefined) throw fail();
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
    // Checked above.
    ...({
      precision,
      prompts,
      negative,
      clipSkip,
      width,
      height,
      noiseLevel,
      variant,
      lowRes,
      unclip,
      modelFlags,
      prediction,
    } as Partial<Settings>),
    ...edit && { edit },
  };
}

/** The settings that draw one image of a run by itself. */
export function settingsOfImage(settings: Settings, index: number): Settings {
  const label = labelOf(settings, index);
  return {
    ...settings,
    seed: imageSeeds(settings.seed, 1, index)[0] ?? settings.seed,
    count: 1,
    ...settings.prompts === undefined
      ? { classes: label === undefined ? [] : [label] }
      : { prompts: label === undefined ? [] : [label] },
    ...settings.edit && { edit: editOfImage(settings.edit, index) },
  };
}

/** The text of an image, or its class. */
export function labelOf(
  { classes, prompts = classes }: Settings,
  index: number,
): string | undefined {
  return prompts[index % prompts.length];
}

/**
 * The size of a run's images in pixels.
 *
 * @throws {RangeError} Where the network cannot draw images of that size.
 */
export function sizeOf(
  model: Model,
  { width = edgeOf(model), height = edgeOf(model) }: Pick<Settings, "width" | "height">,
): { readonly width: number; readonly height: number } {
  const own = model.unet.stride * factorOf(model);
  let rate = own;
  while (rate % (model.unclip?.superResolution.first.stride ?? 1) !== 0) rate += own;
  for (const [side, size] of Object.entries({ width, height })) {
    if (size % rate !== 0) {
      throw new RangeError(
        `Cannot use --${side} ${size} with ${model.name}: it must be a multiple of ${rate}`,
      );
    }
  }
  return { width, height };
}

/** What can be said of a model's classes. */
type Classes = Pick<Model, "labels" | "nullClass" | "name">;

/** The classes of a list: `3,8` are two, in turn; `3:0.7,8:0.3` is one that is composed of two. */
export function splitClasses(text: string): string[] {
  const pieces = text.split(",").map((piece) => piece.trim());
  return pieces.every((piece) => /:[^:+]+$/.test(piece)) ? [pieces.join("+")] : pieces;
}

/**
 * The label that a name or a number stands for, `none`, or several with weights: `3:0.7+8:0.3`.
 *
 * @throws {RangeError} Where the model has no such class.
 */
export function findClass(model: Classes, name: string): string {
  const { labels, nullClass, name: called } = model;
  if (labels.length === 0) throw new RangeError(`Cannot use --class: ${called} has no classes`);
  if (name === "none") {
    if (nullClass !== undefined) return name;
    throw new RangeError(`Cannot use --class none: ${called} was trained without a null class`);
  }
  const numbered = /^\d+$/.test(name) ? labels[Number(name)] : undefined;
  const label = labels.includes(name) ? name : numbered;
  if (label !== undefined) return label;
  const shares = readShares(name);
  if (shares !== undefined) {
    const found = shares.map(([part, weight]) => [findClass(model, part), weight] as const);
    const total = found.reduce((sum, [, weight]) => sum + weight, 0);
    if (nullClass === undefined && Math.abs(total - 1) > 1e-6) {
      throw new RangeError(
        `Cannot use --class ${name}: ${called} has no null class, so weights must sum to 1`,
      );
    }
    return found.map(([part, weight]) => `${part}:${weight}`).join("+");
  }
  const near = nearest(name, labels);
  const known = labels.length > 12 ? [...labels.slice(0, 12), "…"] : labels;
  throw new RangeError(
    `Cannot find class "${name}": ${
      near === undefined ? `${called} has ${known.join(", ")}` : `did you mean ${near}?`
    }`,
  );
}

/** `3:0.7+8:0.3` as pairs; undefined where a text is no such list. */
function readShares(text: string): [string, number][] | undefined {
  const pairs = text.split("+").map((piece): [string, number] => {
    const [, name = "", weight = ""] = piece.match(/^(.+):([^:]+)$/) ?? [];
    return [name, readNumber(weight)];
  });
  return pairs.some(([, weight]) => Number.isNaN(weight)) ? undefined : pairs;
}

/** The classes of an image and their weights, which sum to 1 with the null class's. */
function sharesOf({ labels, nullClass }: Classes, label: string): [number, number][] {
  const shares = labels.includes(label) ? undefined : readShares(label);
  if (shares === undefined) return [[labels.indexOf(label), 1]];
  const rest = 1 - shares.reduce((sum, [, weight]) => sum + weight, 0);
  const numbers = shares.map(([name, weight]): [number, number] => [
    name === "none" ? nullClass ?? 0 : labels.indexOf(name),
    weight,
  ]);
  return Math.abs(rest) < 1e-6 ? numbers : [...numbers, [nullClass ?? 0, rest]];
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
  const { nullClass } = model;
  if (model.labels.length === 0) {
    if (model.text === undefined) return {};
    throw new TypeError(`Cannot draw with ${model.name} without a text: sample takes --prompt`);
  }
  const shares = indices.map((index) => sharesOf(model, labelOf(settings, index) ?? "none"));
  const numbers = shares.map(([first]) => first?.[0] ?? -1);
  const most = Math.max(...shares.map(({ length }) => length));
  const blend = Array.from({ length: most }, (_, part) => ({
    labels: Int32Array.from(shares, (each, i) => {
      const label = each[part]?.[0] ?? numbers[i] ?? -1;
      return label < 0 ? nullClass ?? 0 : label;
    }),
    weights: Float32Array.from(shares, (each) => each[part]?.[1] ?? 0),
  }));
  const free = settings.unconditional || numbers.some((label) => label < 0);
  if (free && nullClass === undefined) {
    throw new RangeError(`Cannot predict without a class: ${model.name} has no null class`);
  }
  return {
    network: Int32Array.from(
      numbers,
      (label) => label < 0 || settings.unconditional ? nullClass ?? 0 : label,
    ),
    // A classifier knows no mixture of classes.
    classifier: most === 1 && numbers.every((label) => label >= 0)
      ? Int32Array.from(numbers)
      : undefined,
    blend: most > 1 && !settings.unconditional ? blend : undefined,
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
