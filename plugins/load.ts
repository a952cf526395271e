import { basename, resolve, toFileUrl } from "@std/path";
import {
  type Guidance,
  type Loss,
  NEEDS,
  type Options,
  type Sampler,
  type Values,
} from "../plugin.ts";
import { nearest } from "./nearest.ts";
import type { Operator } from "../guidance/operators/operator.ts";
import { alternatives, checkOptions, interval, type Kind, optionFault } from "./options.ts";
import { parseSpec, type Spec } from "./spec.ts";

/** The type of each kind of plugin. */
export interface Plugins {
  readonly sampler: Sampler;
  readonly guidance: Guidance;
}

/** The plugins that come with the project, loaded when they are asked for. */
export type Builtins = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>;

/** A plugin with the values of its options. */
export interface Chosen<P> {
  /** What it was asked for by: a name, path or URL. */
  readonly source: string;
  readonly plugin: P;
  readonly options: Values<Options>;
  /** A guidance's share of the path; 0 to 1 for a sampler. */
  readonly from: number;
  readonly until: number;
  /** What the file of a guidance's option `file` exports, where the guidance needs a loss. */
  readonly loss?: Loss;
}

/** Where plugins are looked up. */
export interface Lookup {
  /** Other names of built-in plugins, with options, as `{ dpmpp_2s: "dpmpp_2s_ancestral,eta=0" }`. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** The folder that relative paths start from; the current one by default. */
  readonly folder?: string;
}

/**
 * Loads what a text such as `cfg,scale=4,until=0.8` asks for and checks its options.
 *
 * @throws {SyntaxError} If the text cannot be read.
 * @throws {RangeError} If the plugin is unknown, or an option is unknown or out of range.
 * @throws {TypeError} If the file cannot be loaded or is no plugin.
 */
export async function choosePlugin<K extends Kind>(
  kind: K,
  text: string,
  builtins: Builtins,
  lookup: Lookup = {},
): Promise<Chosen<Plugins[K]>> {
  const { name, options: given } = resolveSpec(text, builtins, lookup);
  const plugin = await loadPlugin(kind, name, builtins, lookup);
  const host: Options = kind === "guidance" ? interval : {};
  const values = checkOptions(kind, name, { ...plugin.options, ...host }, given);
  const { from = 0, until = 1, ...rest } = values;
  if (kind === "sampler") return { source: name, plugin, options: values, from: 0, until: 1 };
  if (Number(from) >= Number(until)) {
    throw new RangeError(
      `Cannot use ${kind} "${name}" with from=${from}: from must be below until, which is ${until}`,
    );
  }
  const chosen = { source: name, plugin, options: rest, from: Number(from), until: Number(until) };
  if (!("needs" in plugin && plugin.needs?.includes("loss"))) return chosen;
  return { ...chosen, loss: await loadLoss(name, values, lookup) };
}

/** The loss that a file exports by default, or the distance from an image that an operator made. */
async function loadLoss(name: string, values: Values<Options>, lookup: Lookup): Promise<Loss> {
  const text = (key: string) => `${values[key] ?? ""}`;
  const [file, operator, image] = [text("file"), text("operator"), text("image")];
  const what = `guidance "${name}"`;
  if (operator === "" && image === "") {
    const need = "name a file that exports the loss of x0, as in file=./mine.ts, or an operator";
    return await loadFunction<Loss>(what, "file", file, need, lookup);
  }
  if (file !== "") throw new RangeError(`Cannot use ${what} with file and operator: give one`);
  if (operator === "" || image === "") {
    throw new RangeError(
      `Cannot use ${what}: operator and image go together, as in operator=downsample,image=low.png`,
    );
  }
  const { measured, operators } = await import("../guidance/operators/mod.ts");
  const builtin = own<() => Promise<{ readonly default: Operator }>>(operators, operator);
  const need = `it must be ${alternatives(Object.keys(operators))}, or a file such as ./mine.ts`;
  const degrade = builtin
    ? (await builtin()).default
    : await loadFunction<Operator>(what, "operator", operator, need, lookup);
  const { loadImage } = await import("../images/load.ts");
  return measured(degrade, await loadImage(resolve(lookup.folder ?? ".", image)), image);
}

/** The function that a file exports by default; what it returns is checked when it is called. */
async function loadFunction<F>(
  what: string,
  key: string,
  file: string,
  need: string,
  { folder = "." }: Lookup,
): Promise<F> {
  const fail = (reason: string) => `Cannot use ${what} with ${key}=${file}: ${reason}`;
  const url = file === "" ? undefined : locate(file, folder);
  if (url === undefined) throw new RangeError(fail(need));
  if (url.protocol === "file:" && !(await isFile(url))) {
    throw new RangeError(fail("there is no such file"));
  }
  const { default: loaded } = await importModule(url, (reason) => fail(reason));
  if (typeof loaded !== "function") throw new TypeError(fail("its default export is no function"));
  return loaded as F;
}

async function importModule(
  url: URL,
  fail: (reason: string) => string,
): Promise<Record<string, unknown>> {
  try {
    return await import(url.href);
  } catch (error) {
    throw new TypeError(fail(reasonOf(error)), { cause: error });
  }
}

/**
 * The built-in plugin and the options that a text asks for, by whatever of its names. Capitals, spaces,
 * hyphens and underscores make no difference, and `++` is `pp`. Other texts are only read.
 *
 * @throws {SyntaxError} If the text cannot be read.
 */
export function resolveSpec(text: string, builtins: Builtins, { aliases = {} }: Lookup = {}): Spec {
  const spec = parseSpec(text);
  if (Object.hasOwn(builtins, spec.name) || /[./\\:]/.test(spec.name)) return spec;
  const plain = (name: string) => name.toLowerCase().replaceAll("++", "pp").replace(/[\s_-]/g, "");
  const same = (name: string) => plain(name) === plain(spec.name);
  const builtin = Object.keys(builtins).find(same);
  if (builtin !== undefined) return { ...spec, name: builtin };
  const alias = Object.keys(aliases).find(same);
  const target = alias === undefined ? undefined : aliases[alias];
  if (target === undefined) return spec;
  const { name, options } = parseSpec(target);
  return { name, options: { ...options, ...spec.options } };
}

/**
 * Loads a plugin by its built-in name, by a path or by a URL.
 *
 * @throws {RangeError} If there is none.
 * @throws {TypeError} If the file cannot be loaded or is no plugin.
 */
export async function loadPlugin<K extends Kind>(
  kind: K,
  name: string,
  builtins: Builtins,
  { aliases = {}, folder = "." }: Lookup = {},
): Promise<Plugins[K]> {
  const builtin = own(builtins, resolveSpec(name, builtins, { aliases }).name);
  if (builtin) return checkPlugin(kind, name, (await builtin()).default);
  const url = locate(name, folder);
  if (url === undefined) {
    const known = Object.keys(builtins);
    const near = nearest(name, [...known, ...Object.keys(aliases)]);
    throw new RangeError(
      `Cannot find ${kind} "${name}": ${near ? `did you mean ${near}?` : "there is no such name"}` +
        ` (built in: ${known.join(", ") || "none"}; a file: ./${basename(name)}.ts)`,
    );
  }
  if (url.protocol === "file:" && !(await isFile(url))) {
    throw new RangeError(`Cannot find ${kind} "${name}": there is no such file`);
  }
  const module = await importModule(url, (reason) => `Cannot load ${kind} "${name}": ${reason}`);
  return checkPlugin(kind, name, module.default);
}

/** The option that says more of what a guidance needs. */
const NAMED = { class: "class", model: "model", loss: "file", perturbed: "layers" } as const;

/**
 * Checks that a value is a plugin: what the types of the contract promise, also for JavaScript.
 *
 * @throws {TypeError} If it is not; the message names the field.
 */
export function checkPlugin<K extends Kind>(kind: K, name: string, value: unknown): Plugins[K] {
  const title = `${kind === "sampler" ? "Sampler" : "Guidance"} "${name}"`;
  const fail = (reason: string) => new TypeError(`${title} ${reason}`);
  if (!isRecord(value)) throw fail("has no default export that is an object");
  const action = kind === "sampler" ? "step" : "guide";
  for (const field of ["name", "summary"]) {
    if (typeof value[field] !== "string") throw fail(`has no ${field}`);
  }
  if (typeof value[action] !== "function") throw fail(`has no ${action} function`);
  if (kind === "sampler" && !["undefined", "function"].includes(typeof value.timeline)) {
    throw fail("has a timeline that is not a function");
  }
  for (const field of kind === "sampler" ? ["takesShift", "climbs"] : []) {
    if (!["undefined", "boolean"].includes(typeof value[field])) {
      throw fail(`has a ${field} that is not true or false`);
    }
  }
  for (const field of kind === "sampler" ? ["order", "calls"] : []) {
    const number = value[field] ?? 1;
    if (!(Number.isInteger(number) || number === Infinity) || Number(number) < 1) {
      throw fail(`has a wrong ${field}: it must be a whole number of at least 1`);
    }
  }
  const { needs = [], options } = value;
  if (kind === "guidance" && !(Array.isArray(needs) && needs.every((it) => NEEDS.includes(it)))) {
    throw fail(`has a wrong needs: it must be a list of ${NEEDS.join(" and ")}`);
  }
  if (!isRecord(options)) throw fail("has no options (an empty object where it takes none)");
  for (const [need, key] of Object.entries(NAMED)) {
    const option = options[key];
    if (
      kind === "guidance" && Array.isArray(needs) && needs.includes(need) &&
      !(isRecord(option) && option.type === "text")
    ) {
      throw fail(`needs ${need}, so it must have an option ${key} of type text`);
    }
  }
  for (const [key, option] of Object.entries(options)) {
    const fault = tableFault(option) ??
      (kind === "guidance" && Object.hasOwn(interval, key) ? "the host gives it" : undefined) ??
      (/^[A-Za-z][\w-]*$/.test(key) ? undefined : "its name must be a word");
    if (fault !== undefined) throw fail(`has a wrong option ${key}: ${fault}`);
  }
  // All that the contract asks for has been checked.
  return value as unknown as Plugins[K];
}

function tableFault(option: unknown): string | undefined {
  if (!isRecord(option)) return "it must be an object";
  if (typeof option.help !== "string") return "it has no help";
  const { type, default: preset, min, max, choices } = option;
  const fault = (reason: string | undefined) => reason && `its default ${reason}`;
  switch (type) {
    case "number":
      if (![min, max].every((it) => ["undefined", "number"].includes(typeof it))) {
        return "its min and max must be numbers";
      }
      if (typeof preset !== "number") return "its default must be a number";
      return fault(optionFault({ ...option, type, help: "", default: 0 }, preset));
    case "flag":
      return fault(optionFault({ type, help: "", default: false }, preset));
    case "choice":
      if (!Array.isArray(choices)) return "it has no choices";
      return fault(optionFault({ type, help: "", default: "", choices }, preset));
    case "text":
      return fault(optionFault({ type, help: "", default: "" }, preset));
    default:
      return "its type must be number, flag, choice or text";
  }
}

function locate(name: string, folder: string): URL | undefined {
  if (/^(https?|file|data|npm|jsr):/.test(name)) return new URL(name);
  const path = /[/\\]/.test(name) || /\.[cm]?[jt]s$/.test(name);
  return path ? toFileUrl(resolve(folder, name)) : undefined;
}

/** The first line of a message; of a failed download the last one, which says why. */
function reasonOf(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).trim().split("\n");
  const [first = "", last = ""] = [lines[0], lines.at(-1)];
  return lines.length > 1 && /^\s*\d+: /.test(last) ? last.replace(/^\s*\d+: /, "") : first;
}

function isFile(url: URL): Promise<boolean> {
  return Deno.stat(url).then((info) => info.isFile, () => false);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
