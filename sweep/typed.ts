/**
 * What was typed for a sweep, as axes.
 *
 * @module
 */
import { guidances } from "../guidance/mod.ts";
import { splitClasses } from "../pipeline/settings.ts";
import { loadPlugin, resolveSpec } from "../plugins/load.ts";
import { numberFault, readNumber } from "../plugins/number.ts";
import { aliases, samplers } from "../samplers/mod.ts";
import { ends, findRule, isRespacing, PATH_ALIASES, PATH_RULES } from "../schedules/mod.ts";
import { plainAxis, type Swept } from "./axis.ts";
import { listOf, rangeOf } from "./range.ts";
import { type Listed, sweepSpecs } from "./specs.ts";

/** What can vary, in the order in which axes are laid out where they are equally long. */
export const VARIABLES = [
  "model",
  "guidance",
  "sampler",
  "spacing",
  "steps",
  "class",
  "seed",
] as const;

/** The name of one. */
export type Variable = typeof VARIABLES[number];

/** The texts of each, empty where nothing was typed. */
export type Typed = Readonly<Record<Variable, readonly string[]>>;

const isPath = (word: string) => /[/\\]|\.[cm]?[jt]s$|^(https?|file|data|npm|jsr):/.test(word);

/** A number, a range or a list such as 7x5+1x15: no plugin's name begins with a digit. */
const isValue = (word: string) => /^[+-]?\.?\d/.test(word);

/** The plugins of a folder, by any of their names. */
function listed(
  name: "sampler" | "guidance",
  builtins: typeof samplers | typeof guidances,
): Listed {
  const lookup = name === "sampler" ? { aliases } : {};
  return {
    name,
    begins: (word) =>
      !isValue(word) &&
      (word === "none" || isPath(word) ||
        Object.hasOwn(builtins, resolveSpec(word, builtins, lookup).name)),
    async options(word) {
      if (name === "guidance" && word === "none") return {};
      return (await loadPlugin(name, resolveSpec(word, builtins, lookup).name, builtins)).options;
    },
  };
}

const rules: Listed = {
  name: "spacing",
  begins: (word) =>
    [PATH_RULES, PATH_ALIASES].some((known) => Object.hasOwn(known, word)) ||
    /^ddim\d+$/.test(word),
  options: (word) =>
    Promise.resolve(isRespacing(word) ? {} : { ...findRule(word).options, ...ends }),
};

/**
 * The axes of all that was typed. Plugins are read as `sweepSpecs()` describes. A class of a list is a
 * cell of its own; ` + ` puts several classes into each cell, in turn. A respacing of several sections,
 * such as `10,10,5`, is one value.
 *
 * @throws {RangeError} If a name or a value is unknown, out of range or listed twice.
 * @throws {SyntaxError} If a text cannot be read.
 */
export async function readTyped(typed: Typed): Promise<Partial<Record<Variable, Swept>>> {
  const read: Record<Variable, (texts: readonly string[]) => Swept | Promise<Swept>> = {
    model: (texts) => plainAxis("model", texts),
    guidance: (texts) => sweepSpecs(listed("guidance", guidances), texts),
    sampler: (texts) => sweepSpecs(listed("sampler", samplers), texts),
    spacing: (texts) =>
      texts.length === 1 && isRespacing(texts[0] ?? "")
        ? plainAxis("spacing", texts)
        : sweepSpecs(rules, texts),
    steps: (texts) => plainAxis("steps", texts.flatMap(listOf).map(checkSteps)),
    class: (texts) => plainAxis("class", texts.flatMap(splitClasses).flatMap(rangeOf)),
    seed: (texts) => plainAxis("seed", texts.flatMap(listOf)),
  };
  const swept: Partial<Record<Variable, Swept>> = {};
  for (const variable of VARIABLES) {
    const texts = typed[variable];
    if (texts.length > 0) swept[variable] = await read[variable](texts);
  }
  return swept;
}

function checkSteps(text: string): string {
  const fault = numberFault(readNumber(text), { min: 1, integer: true });
  if (fault === undefined) return text;
  throw new RangeError(`Cannot use --steps ${text}: it ${fault}`);
}
