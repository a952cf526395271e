/**
 * The arguments of guided-diffusion's command lines, such as `--image_size 64 --noise_schedule
 * cosine`: what a checkpoint's weights do not say stands there.
 *
 * @module
 */
import { nearest } from "../plugins/nearest.ts";

/** How the text of an argument is read. */
type Reader<T> = { readonly wanted: string; read(text: string): T | undefined };

const count: Reader<number> = {
  wanted: "a whole number of at least 1",
  read: (text) => /^\d+$/.test(text) && Number(text) >= 1 ? Number(text) : undefined,
};
const orMinus: Reader<number> = {
  wanted: "a whole number of at least 1, or -1",
  read: (text) => text === "-1" ? -1 : count.read(text),
};
const number: Reader<number> = {
  wanted: "a number",
  read: (text) => text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined,
};
const flag: Reader<boolean> = {
  wanted: "True or False",
  read(text) {
    if (/^(true|yes|t|y|1)$/i.test(text)) return true;
    return /^(false|no|f|n|0)$/i.test(text) ? false : undefined;
  },
};
const numbers: Reader<readonly number[]> = {
  wanted: "numbers between commas",
  read: (text) =>
    /^\d+(\.\d+)?(,\d+(\.\d+)?)*$/.test(text) ? text.split(",").map(Number) : undefined,
};
const anyText: Reader<string> = { wanted: "a text", read: (text) => text };
const word = <W extends string>(...words: readonly W[]): Reader<W> => ({
  wanted: words.join(" or "),
  read: (text) => words.find((word) => word === text),
});

/** The arguments that say what a network and its diffusion are. */
const ARGUMENTS = {
  image_size: count,
  large_size: count,
  small_size: count,
  num_channels: count,
  num_res_blocks: count,
  num_heads: count,
  num_heads_upsample: orMinus,
  num_head_channels: orMinus,
  attention_resolutions: numbers,
  channel_mult: numbers,
  class_cond: flag,
  use_scale_shift_norm: flag,
  resblock_updown: flag,
  use_new_attention_order: flag,
  learn_sigma: flag,
  sigma_small: flag,
  diffusion_steps: count,
  noise_schedule: word("linear", "cosine"),
  timestep_respacing: anyText,
  predict_xstart: flag,
  rescale_timesteps: flag,
  classifier_width: count,
  classifier_depth: count,
  classifier_attention_resolutions: numbers,
  classifier_use_scale_shift_norm: flag,
  classifier_resblock_updown: flag,
  classifier_pool: word("attention", "adaptive", "spatial", "spatial_v2"),
  classifier_scale: number,
} as const;

/** Arguments of training and of OpenAI's own precision: what is drawn does not depend on them. */
const WITHOUT_EFFECT = [
  "dropout",
  "use_checkpoint",
  "use_fp16",
  "use_kl",
  "rescale_learned_sigmas",
  "classifier_use_fp16",
];

/** The values of the arguments that were given. */
export type OpenAIArguments = {
  readonly [K in keyof typeof ARGUMENTS]?:
    | NonNullable<ReturnType<(typeof ARGUMENTS)[K]["read"]>>
    | undefined;
};

/** Arguments, and the names of those that change nothing here. */
export interface ReadArguments {
  readonly given: OpenAIArguments;
  readonly ignored: readonly string[];
}

/**
 * The arguments of a command line, each `--name value` or `--name=value`.
 *
 * @throws {RangeError} Where one is not known, or its value not what it must be.
 */
export function parseArguments(commandLine: string): ReadArguments {
  const words = commandLine.trim().split(/\s+/).filter((word) => word !== "");
  const entries: [string, string][] = [];
  while (words.length > 0) {
    const [, name, inline] = (words.shift() ?? "").match(/^--(\w+)(?:=(.*))?$/) ?? [];
    const value = inline ?? words.shift();
    if (name === undefined || value === undefined) {
      throw new RangeError(
        `Cannot use the model flags "${commandLine}": they must be pairs of --name and value, as in --image_size 64`,
      );
    }
    entries.push([name, value.replace(/^(["'])(.*)\1$/, "$2")]);
  }
  return readArguments(entries, "--");
}

/**
 * The arguments of a configuration file; `_class` and such are left out.
 *
 * @throws {RangeError} As {@linkcode parseArguments}.
 */
export function argumentsOf(values: Readonly<Record<string, unknown>>): ReadArguments {
  const entries = Object.entries(values).filter(([name]) => !name.startsWith("_"));
  return readArguments(entries.map(([name, value]) => [name, String(value)]), "");
}

function readArguments(
  entries: readonly (readonly [string, string])[],
  prefix: string,
): ReadArguments {
  const given: Record<string, unknown> = {};
  const ignored: string[] = [];
  for (const [name, text] of entries) {
    if (WITHOUT_EFFECT.includes(name)) {
      ignored.push(name);
      continue;
    }
    const reader = Object.hasOwn(ARGUMENTS, name)
      ? ARGUMENTS[name as keyof typeof ARGUMENTS] // it is one of them
      : undefined;
    if (reader === undefined) {
      const near = nearest(name, Object.keys(ARGUMENTS));
      throw new RangeError(
        `Cannot use ${prefix}${name}: no model of guided-diffusion has such an argument${
          near === undefined ? "" : `; did you mean ${prefix}${near}?`
        }`,
      );
    }
    if (text === "") continue; // as their defaults are written
    const value = reader.read(text);
    if (value === undefined) {
      throw new RangeError(`Cannot use ${prefix}${name} ${text}: it must be ${reader.wanted}`);
    }
    given[name] = value;
  }
  return { given: given as OpenAIArguments, ignored }; // each was read above
}
