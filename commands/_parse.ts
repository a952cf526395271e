import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../plugins/nearest.ts";
import { numberFault, readNumber } from "../plugins/number.ts";
import { alternatives } from "../plugins/options.ts";
import { type Args, type Command, type Flag, type Flags, globals, UsageError } from "./_command.ts";

/** What was typed after a command's name, checked by its table. */
export type Parsed<F extends Flags> = Omit<Args<F & typeof globals>, "io">;

/**
 * Reads a command's arguments.
 *
 * @throws {UsageError} If a flag is unknown, lacks its value, is out of range or given twice, or if
 * there are too few or too many arguments.
 */
export function parse<F extends Flags>(command: Command<F>, args: readonly string[]): Parsed<F> {
  const table: Flags = { ...globals, ...command.flags };
  const names = Object.keys(table);
  const booleans = names.filter((name) => table[name]?.type === "flag");
  const strings = names.filter((name) => !booleans.includes(name));
  const spelled = spellOut(command.name, table, args);
  const found: Readonly<Record<string, unknown>> & { _: (string | number)[] } = parseArgs(
    spelled,
    { boolean: booleans, string: [...strings, "_"], collect: strings },
  );
  const given = new Set<string>();
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(table)) {
    const typed = found[name];
    if (flag.type === "flag") {
      if (spelled.includes(`--${name}=true`) || spelled.includes(`--${name}=false`)) {
        given.add(name);
      }
      values[name] = given.has(name) ? typed === true : flag.default ?? false;
      continue;
    }
    const texts = Array.isArray(typed) ? typed.map(String) : [];
    if (texts.length > 0) given.add(name);
    if (flag.type !== "list" && texts.length > 1) {
      throw new UsageError(`Cannot use --${name} twice: ${texts.map(quote).join(" and ")}`);
    }
    const [text] = texts;
    values[name] = flag.type === "list"
      ? texts.length > 0 ? texts : flag.default ?? []
      : text === undefined
      ? flag.default
      : read(name, flag, text);
  }
  const positional = found._.map(String);
  if (values.help !== true) countArguments(command, positional);
  return {
    // Each value was made by its own row of the table, which an object built in a loop cannot show.
    flags: values as Parsed<F>["flags"],
    positional,
    given: (name) => given.has(name),
  };
}

/**
 * Writes every flag as `--name=value`, so that values such as `-1` and `-` are never taken for flags,
 * and reports the unknown ones.
 */
function spellOut(command: string, table: Flags, args: readonly string[]): string[] {
  const letters = new Map(
    Object.entries(table).flatMap(([name, { alias }]) => alias ? [[alias, name] as const] : []),
  );
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") return [...result, ...args.slice(i)];
    if (!arg.startsWith("-") || arg === "-") {
      result.push(arg);
      continue;
    }
    let [, name = "", value] = arg.match(/^--([^=]*)(?:=(.*))?$/s) ?? [];
    for (let at = 1; name === "" && at < arg.length; at++) {
      const letter = arg[at] ?? "";
      const long = letters.get(letter);
      if (long === undefined) {
        throw new UsageError(`Cannot use -${letter}: ${command} has no such flag`);
      }
      const rest = arg.slice(at + 1);
      if (table[long]?.type === "flag" && !rest.startsWith("=") && rest !== "") {
        result.push(`--${long}=true`);
      } else [name, value] = [long, rest === "" ? undefined : rest.replace(/^=/, "")];
    }
    const flag = Object.hasOwn(table, name) ? table[name] : undefined;
    if (flag === undefined) {
      const positive = name.replace(/^no-/, "");
      const known = Object.hasOwn(table, positive) && table[positive]?.type === "flag";
      if (!known || positive === name || value !== undefined) {
        throw unknownFlag(command, table, name);
      }
      result.push(`--${positive}=false`);
    } else if (flag.type === "flag") {
      if (!/^(true|false)?$/.test(value ?? "")) {
        throw new UsageError(`Cannot use --${name}=${value}: it is on or off, as in --no-${name}`);
      }
      result.push(`--${name}=${value ?? true}`);
    } else {
      if (value === undefined) {
        value = args[++i];
        // A number, or a command line for another program: no flag has a space in it.
        const plain = /^-(\d|\.\d|$|.*\s)/.test(value ?? "");
        if (value === undefined || (value.startsWith("-") && !plain)) {
          throw new UsageError(`Cannot use --${name} without a value: it takes ${metavar(flag)}`);
        }
      }
      result.push(`--${name}=${value}`);
    }
  }
  return result;
}

/** What help calls a flag's value. */
export function metavar(flag: Flag): string {
  if (flag.value !== undefined) return flag.value;
  if (flag.type === "string" && flag.choices) return flag.choices.join("|");
  return { string: "TEXT", list: "TEXT", number: "NUMBER", integer: "N", flag: "" }[flag.type];
}

function read(name: string, flag: Flag, text: string): string | number {
  const fail = (reason: string) => new UsageError(`Cannot use --${name}=${text}: it ${reason}`);
  if (flag.type === "number" || flag.type === "integer") {
    const number = readNumber(text);
    const fault = numberFault(number, { ...flag, integer: flag.type === "integer" });
    if (fault !== undefined) throw fail(fault);
    return number;
  }
  if (flag.type === "string" && flag.choices && !flag.choices.includes(text)) {
    const near = nearest(text, flag.choices);
    throw fail(`must be ${alternatives(flag.choices)}${near ? `; did you mean ${near}?` : ""}`);
  }
  return text;
}

function unknownFlag(command: string, table: Flags, name: string): UsageError {
  const negatable = Object.keys(table).filter((it) => table[it]?.type === "flag");
  const known = name.startsWith("no-") ? negatable.map((it) => `no-${it}`) : Object.keys(table);
  const near = nearest(name, known);
  const hint = near ? `did you mean --${near}?` : `${command} has no such flag`;
  return new UsageError(`Cannot use --${name}: ${hint}`);
}

function countArguments(command: Command<Flags>, positional: readonly string[]): void {
  const slots = command.usage.split(/\s+/).filter((slot) => slot !== "");
  const missing = slots[positional.length];
  if (missing !== undefined && !missing.startsWith("[")) {
    throw new UsageError(`Cannot run ${command.name} without ${missing.replace("...", "")}`);
  }
  const extra = positional[slots.length];
  if (extra !== undefined && !slots.at(-1)?.includes("...")) {
    throw new UsageError(
      `Cannot use the argument "${extra}": ${command.name} takes ${slots.join(" ") || "none"}`,
    );
  }
}

function quote(text: string): string {
  return `"${text}"`;
}
