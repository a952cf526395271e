/**
 * Checkpoints as guided-diffusion saves them: a file of weights, with what they do not say on the
 * command line or in a small file beside it.
 *
 * @module
 */
import { basename, dirname, extname, join } from "@std/path";
import { readJson } from "../models/config.ts";
import { type EncoderUNetConfig, parseEncoderUNetConfig } from "../models/encoder_unet.ts";
import { describeClassifier, describeUNet } from "../models/openai_checkpoint.ts";
import { argumentsOf, type OpenAIArguments, parseArguments } from "../models/openai_arguments.ts";
import { type OpenAIUNetConfig, parseOpenAIUNetConfig } from "../models/openai_unet.ts";
import type { Weights } from "../models/weights.ts";
import type { SchedulerConfig } from "../schedules/mod.ts";
import { isThere } from "./files.ts";
import { openaiDescribed, type UNet } from "./unet.ts";

/** A file that holds a diffusion network, with all that its model needs. */
export interface OpenedCheckpoint {
  readonly unet: UNet;
  readonly scheduler: SchedulerConfig;
  /** Steps and sampler of its authors. */
  readonly spacing: string;
  readonly sampler: string;
  /** The weight of a classifier's gradient. */
  readonly classifierScale: number;
}

/** A network, and what was said of its diffusion. */
interface Network {
  readonly kind: "UNetModel" | "SuperResModel";
  readonly config: OpenAIUNetConfig;
  readonly given: OpenAIArguments;
}

const stemOf = (path: string) => basename(path, extname(path));

/** A file that says what weights are. */
interface Beside {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** The file beside weights that says what they are: `NAME.json`, or `config.json` of their class. */
function besideOf(path: string, classes: readonly string[]): Beside | undefined {
  const own = join(dirname(path), `${stemOf(path)}.json`);
  if (isThere(own)) return { path: own, values: readJson(own) };
  const shared = join(dirname(path), "config.json");
  const values = isThere(shared) ? readJson(shared) : {};
  return classes.includes(String(values["_class"])) ? { path: shared, values } : undefined;
}

/** The arguments in a file. */
function writtenIn(beside: Beside | undefined): OpenAIArguments {
  if (beside === undefined) return {};
  try {
    return argumentsOf(beside.values).given;
  } catch (cause) {
    throw new TypeError(`${(cause as Error).message} (in "${beside.path}")`, { cause });
  }
}

/** Adds the file's name to what is wrong with it. */
export function inFile<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new TypeError(`Cannot use "${path}": ${cause.message}`, { cause });
  }
}

/**
 * Opens a diffusion network.
 *
 * @param flags OpenAI's command line, such as `--image_size 64 --noise_schedule cosine`.
 * @throws {TypeError} Where the weights are of no such network, or contradict what was said.
 * @throws {RangeError} Where an argument is not known.
 */
export function openCheckpoint(
  path: string,
  weights: Weights,
  flags: string | undefined,
): OpenedCheckpoint {
  const { kind, config, given } = describeCheckpoint(path, weights, flags);
  const sampler = given.timestep_respacing?.startsWith("ddim") ? "ddim" : "ddpm";
  return {
    unet: { ...openaiDescribed(kind, config), weights, folder: dirname(path) },
    scheduler: inFile(path, () => schedulerOf(given, config.out_channels > config.in_channels)),
    spacing: given.timestep_respacing ?? "250", // as in ADM's tables
    sampler,
    classifierScale: given.classifier_scale ?? (config.num_classes === null ? 10 : 1),
  };
}

/** What is known of a diffusion network before its noise schedule is; throws as {@linkcode openCheckpoint}. */
export function describeCheckpoint(
  path: string,
  weights: Weights,
  flags: string | undefined,
): Network {
  const beside = besideOf(path, ["UNetModel", "SuperResModel"]);
  const typed = flags === undefined ? {} : parseArguments(flags).given;
  return beside?.values["_class"] === undefined
    ? described(path, weights, { ...writtenIn(beside), ...typed })
    : constructed(beside.path, beside.values, typed);
}

/** A network by its weights and by what was said of them. */
function described(path: string, weights: Weights, said: OpenAIArguments): Network {
  const { values, ...rest } = inFile(path, () => describeUNet(weights, said, stemOf(path)));
  return { ...rest, config: parseOpenAIUNetConfig(values, path) };
}

/** A network whose file holds the arguments of its constructor. */
function constructed(
  path: string,
  values: Readonly<Record<string, unknown>>,
  typed: OpenAIArguments,
): Network {
  const config = parseOpenAIUNetConfig(values, path);
  const kind = values["_class"] === "SuperResModel" ? "SuperResModel" : "UNetModel";
  for (const [name, value] of Object.entries(typed)) {
    const own = (config as unknown as Record<string, unknown>)[name]; // whatever its type
    if (name === "attention_resolutions" || own === undefined || String(own) === String(value)) {
      continue;
    }
    throw new TypeError(`Cannot use "${path}": --${name} is ${value}, there it is ${own}`);
  }
  return { kind, config, given: typed };
}

/** The diffusion as a scheduler of diffusers. */
function schedulerOf(given: OpenAIArguments, learned: boolean): SchedulerConfig {
  const { diffusion_steps: steps = 1000, noise_schedule: schedule } = given;
  if (schedule === undefined) {
    throw new TypeError(
      'its weights do not say noise_schedule; give "--noise_schedule linear", or cosine, in --model-flags',
    );
  }
  if (given.rescale_timesteps && steps !== 1000) {
    throw new TypeError(`--rescale_timesteps is not followed with --diffusion_steps ${steps}`);
  }
  const scale = 1000 / steps;
  return {
    _class_name: "DDPMScheduler",
    num_train_timesteps: steps,
    ...(schedule === "cosine" ? { beta_schedule: "squaredcos_cap_v2" } : {
      beta_schedule: "linear",
      beta_start: 0.0001 * scale,
      beta_end: 0.02 * scale,
    }),
    variance_type: learned ? "learned_range" : given.sigma_small ? "fixed_small" : "fixed_large",
    prediction_type: given.predict_xstart ? "sample" : "epsilon",
    clip_sample: true,
    clip_sample_range: 1,
  };
}

/**
 * The configuration of a classifier in a file of weights.
 *
 * @param edge Of the images that it will read.
 * @throws {TypeError} Where the weights are of no classifier, or contradict what was said.
 */
export function describeClassifierFile(
  path: string,
  weights: Weights,
  flags: string | undefined,
  edge: number | undefined,
): EncoderUNetConfig {
  const beside = besideOf(path, ["EncoderUNetModel"]);
  if (beside?.values["_class"] !== undefined) {
    return parseEncoderUNetConfig(beside.values, beside.path);
  }
  const typed = flags === undefined ? {} : parseArguments(flags).given;
  const said = { ...writtenIn(beside), ...typed };
  const values = inFile(path, () => describeClassifier(weights, said, edge));
  return parseEncoderUNetConfig(values, path);
}
