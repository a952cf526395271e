/**
 * Plugins and their options as axes.
 *
 * A text lists plugins and gives their options values: `ddim,ddpm`, `cfg,scale=1..10`,
 * `ddpm,variance=small,large`, `none,cfg,scale=2,4`. Of its pieces between commas, `option=value`
 * gives the plugin before it an option; a word that is an option of that plugin switches it on; the
 * name or path of a plugin begins the next one; and anything else is one more value of the option
 * before it. ` + `, with its spaces, puts guidances one after another in each of their cells.
 *
 * @module
 */
import { basename } from "@std/path";
import type { Options } from "../plugin.ts";
import { formatSpec } from "../plugins/spec.ts";
import { type Axis, checkAxis, plainAxis, product, type Swept } from "./axis.ts";
import { MOST, rangeOf } from "./range.ts";

/** What can be listed: samplers, guidances or the rules of paths. */
export interface Listed {
  /** The flag. */
  readonly name: string;
  /** Whether a word begins a plugin. */
  readonly begins: (word: string) => boolean;
  /**
   * The options of a plugin that was named.
   *
   * @throws {RangeError} If there is no such plugin.
   */
  readonly options: (name: string) => Promise<Options>;
}

/** A plugin and the values of each option that was given. */
interface Variants {
  readonly name: string;
  readonly options: Map<string, string[]>;
}

/**
 * What the texts of a flag ask for. One plugin, or one sequence of plugins, has an axis for each
 * option of several values; else all that is listed is one axis.
 *
 * @throws {SyntaxError} If a text cannot be read.
 * @throws {RangeError} If a plugin is unknown or a value is listed twice.
 */
export async function sweepSpecs(kind: Listed, texts: readonly string[]): Promise<Swept> {
  const sequences: Variants[][][] = []; // by text, place in the sequence, alternative
  for (const text of texts) {
    const places = [];
    for (const part of text.split(/\s\+\s/)) places.push(await readVariants(kind, part));
    sequences.push(places);
  }
  const plugins = [...new Set(sequences.flat(2).map(({ name }) => name))];
  const [only = []] = sequences;
  if (sequences.length === 1 && only.every(({ length }) => length === 1)) {
    return { ...sweepOptions(kind, only.flat()), plugins };
  }
  const values = sequences.flatMap((places) =>
    product(places.map((alternatives) => alternatives.flatMap(spellOut))).map((sequence) =>
      sequence.join(" + ")
    )
  );
  return { ...plainAxis(kind.name, values), plugins };
}

/** The axes of a sequence of plugins: their options of several values. */
function sweepOptions(kind: Listed, sequence: readonly Variants[]): Swept {
  const axes: Axis[] = [];
  for (const { name, options } of sequence) {
    for (const [option, values] of options) {
      if (values.length === 1) continue;
      const title = `${basename(name)} ${option}`;
      const same = axes.filter((axis) => axis.name.startsWith(title)).length; // cfg after cfg
      axes.push(checkAxis({ name: same === 0 ? title : `${title} (${same + 1})`, values }));
    }
  }
  if (axes.length === 0) {
    return plainAxis(kind.name, [sequence.flatMap(spellOut).join(" + ")]);
  }
  return {
    axes,
    text(choice) {
      const left = [...choice];
      return sequence.map(({ name, options }) => {
        const chosen = [...options].map(([option, values]) =>
          [option, values.length > 1 ? left.shift() ?? "" : values[0] ?? ""] as const
        );
        return formatSpec(name, Object.fromEntries(chosen));
      }).join(" + ");
    },
  };
}

/** All that a plugin with values of its options stands for. */
function spellOut({ name, options }: Variants): string[] {
  const keys = [...options.keys()];
  const count = [...options.values()].reduce((cells, { length }) => cells * length, 1);
  if (count > MOST) {
    throw new RangeError(
      `Cannot sweep over ${count} values of ${name}: at most ${MOST} are laid out`,
    );
  }
  return product([...options.values()]).map((values) =>
    formatSpec(name, Object.fromEntries(keys.map((key, i) => [key, values[i] ?? ""])))
  );
}

async function readVariants(kind: Listed, text: string): Promise<Variants[]> {
  const found: Variants[] = [];
  const fail = (reason: string) => new SyntaxError(`Cannot read --${kind.name} ${text}: ${reason}`);
  let table: Options = {}; // of the plugin that is read
  let last: string[] | undefined; // the values of its last option
  for (const piece of text.split(",").map((piece) => piece.trim())) {
    const current = found.at(-1);
    const [, key, value = ""] = piece.match(/^([A-Za-z][\w-]*)\s*=\s*(.*)$/s) ?? [];
    if (piece === "") throw fail("something is missing beside a comma");
    if (key !== undefined) {
      if (current === undefined) throw fail("a name comes first, as in ddim,eta=0.5");
      if (current.options.has(key)) throw fail(`${key} is given twice`);
      current.options.set(key, last = rangeOf(value));
    } else if (current !== undefined && Object.hasOwn(table, piece.replace(/^no-/, ""))) {
      current.options.set(piece, ["true"]);
    } else if (current === undefined || last === undefined || kind.begins(piece)) {
      table = await kind.options(piece);
      last = undefined;
      found.push({ name: piece, options: new Map() });
    } else {
      last.push(...rangeOf(piece));
    }
  }
  return found;
}
