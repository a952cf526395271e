import type { Option, Options, Values } from "../plugin.ts";
import { parseCurve } from "./curve.ts";
import { nearest } from "./nearest.ts";
import { numberFault, readNumber } from "./number.ts";

/** What can be loaded by name, path or URL. */
export type Kind = "sampler" | "guidance";

/** What the host adds to the options of every guidance: the share of the path that it acts on. */
export const interval = {
  from: { type: "number", default: 0, min: 0, max: 1, help: "share of the path where it begins" },
  until: { type: "number", default: 1, min: 0, max: 1, help: "share of the path where it ends" },
} as const satisfies Options;

/**
 * The checked values of a plugin's options, defaults filled in.
 *
 * @param kind what messages call the plugin.
 * @throws {RangeError} If an option is unknown or its value is wrong; the message says which.
 */
export function checkOptions<const O extends Options>(
  kind: Kind | "features" | "spacing" | "inpaint",
  name: string,
  options: O,
  given: Readonly<Record<string, string | number | boolean>>,
): Values<O> {
  const values = new Map(Object.entries(options).map(([key, option]) => [key, option.default]));
  const seen = new Set<string>();
  for (const [typed, value] of Object.entries(given)) {
    const fail = (reason: string) =>
      new RangeError(`Cannot use ${kind} "${name}" with ${typed}=${value}: ${reason}`);
    const [key, text] = negated(options, typed) ? [typed.slice(3), "false"] : [typed, `${value}`];
    const option = Object.hasOwn(options, key) ? options[key] : undefined;
    if (option === undefined) throw fail(unknown(typed, Object.keys(options)));
    if (key !== typed && `${value}` !== "true") throw fail(`say ${key}=true or ${key}=false`);
    if (seen.has(key)) throw fail(`${key} is given twice`);
    seen.add(key);
    const read = readOption(option, text);
    const fault = optionFault(option, read);
    if (fault !== undefined) throw fail(`${key} ${fault}`);
    values.set(key, read);
  }
  // Every option of the table has a value of its type by now, which `Map` cannot express.
  return Object.fromEntries(values) as Values<O>;
}

/** The values of options after a share of the path, those that vary along it as numbers. */
export function optionsAt<O extends Options>(
  options: O,
  values: Values<O>,
  share: number,
): Values<O> {
  const now = Object.entries(values).map(([key, value]: [string, unknown]) => {
    const option = options[key];
    const varies = option?.type === "number" && option.varies && typeof value === "string";
    return [key, varies ? parseCurve(value)?.at(share) : value];
  });
  // The texts were checked when the options were.
  return Object.fromEntries(now) as Values<O>;
}

/** What is wrong with a value of an option, such as `must be between 0 and 1`. */
export function optionFault(option: Option, value: unknown): string | undefined {
  switch (option.type) {
    case "number": {
      if (option.varies && typeof value === "string") {
        const values = parseCurve(value)?.values;
        if (values === undefined) return "must be a number, or as 7x5+1x15, linear:7:1, cosine:7:1";
        return values.map((each) => numberFault(each, option)).find((fault) => fault !== undefined);
      }
      return numberFault(typeof value === "number" ? value : NaN, option);
    }
    case "text":
      return typeof value === "string" ? undefined : "must be a text";
    case "flag":
      return typeof value === "boolean" ? undefined : "must be true or false";
    case "choice": {
      if (typeof value === "string" && option.choices.includes(value)) return undefined;
      const near = nearest(`${value}`, option.choices);
      return `must be ${alternatives(option.choices)}${near ? ` (did you mean ${near}?)` : ""}`;
    }
  }
}

/** One option as a row of help: `scale=NUMBER`, what it does, its range and default. */
export function describeOption(key: string, option: Option): { name: string; help: string } {
  const { help, default: preset } = option;
  if (option.type === "flag") return { name: key, help: `${help} (default: ${preset})` };
  if (option.type === "choice") {
    return { name: `${key}=${option.choices.join("|")}`, help: `${help} (default: ${preset})` };
  }
  if (option.type === "text") {
    const note = preset === "" ? "" : ` (default: ${preset})`;
    return { name: `${key}=${option.value ?? "TEXT"}`, help: `${help}${note}` };
  }
  const { min, max, integer, varies } = option;
  const range = min === undefined && max === undefined
    ? ""
    : max === undefined
    ? `at least ${min}; `
    : min === undefined
    ? `at most ${max}; `
    : `${min} to ${max}; `;
  const name = `${key}=${varies ? "NUMBER|LIST" : integer ? "INTEGER" : "NUMBER"}`;
  return { name, help: `${help} (${range}default: ${preset})` };
}

/** `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  const [last, ...rest] = words.toReversed();
  return rest.length === 0 ? last ?? "nothing" : `${rest.toReversed().join(", ")} or ${last}`;
}

function negated(options: Options, typed: string): boolean {
  const key = typed.slice(3);
  return typed.startsWith("no-") && !Object.hasOwn(options, typed) &&
    Object.hasOwn(options, key) && options[key]?.type === "flag";
}

function readOption(option: Option, text: string): number | boolean | string {
  if (option.type === "number") {
    const number = readNumber(text);
    return option.varies && Number.isNaN(number) ? text : number;
  }
  return option.type === "flag" && /^(true|false)$/.test(text) ? text === "true" : text;
}

function unknown(typed: string, known: readonly string[]): string {
  if (known.length === 0) return "it has no options";
  const near = nearest(typed, known);
  return near ? `did you mean ${near}?` : `its options are ${known.join(", ")}`;
}
