/**
 * A minimist-like parser with the rules of `@std/cli/parse-args`, without dotted names, without
 * `boolean: true` and without the inference of types.
 *
 * @module
 */

/** What `parseArgs` returns. */
export interface Args {
  [name: string]: unknown;
  /** The arguments that belong to no option. */
  _: (string | number)[];
  /** With the option `"--"`: what follows the double dash. */
  "--"?: string[];
}

/** Which names are known, and how. */
export interface ParseOptions {
  "--"?: boolean;
  alias?: Record<string, string | readonly string[]>;
  boolean?: string | readonly string[];
  collect?: string | readonly string[];
  default?: Record<string, unknown>;
  negatable?: string | readonly string[];
  stopEarly?: boolean;
  string?: string | readonly string[];
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value = string | number | boolean;

/** Reads flags and their values out of an argument list. */
export function parseArgs(args: readonly string[], options: ParseOptions = {}): Args {
  const groups = Object.entries(options.alias ?? {}).map(([name, other]) => [name, other].flat());
  const family = (name: string) => groups.find((group) => group.includes(name)) ?? [name];
  const names = (list: string | readonly string[] = []) => new Set([list].flat().flatMap(family));
  const [boolean, string, collect, negatable] = [
    names(options.boolean),
    names(options.string),
    names(options.collect),
    names(options.negatable),
  ];
  const known = new Set([...boolean, ...string, ...collect, ...groups.flat()]);
  const found = new Map<string, unknown>();
  const rest: (string | number)[] = [];

  function set(name: string, value: Value, arg: string, negated = false): void {
    if (!known.has(name) && !negated && options.unknown?.(arg, name, value) === false) return;
    const typed = typeof value === "string" && !string.has(name) ? numeric(value) : value;
    for (const key of family(name)) {
      const before = found.get(key);
      const list = Array.isArray(before) ? before : before === undefined ? [] : [before];
      found.set(key, collect.has(key) && !negated ? [...list, typed] : typed);
    }
  }

  const dash = args.indexOf("--");
  const after = dash < 0 ? [] : args.slice(dash + 1);
  const before = dash < 0 ? args : args.slice(0, dash);
  for (let i = 0; i < before.length; i++) {
    const arg = before[i] ?? "";
    const next = before[i + 1] ?? "";
    const [, name = "", text] = arg.match(/^--(.+?)(?:=(.*))?$/s) ?? [];
    if (name !== "") {
      const positive = name.replace(/^no-/, "");
      if (text !== undefined) set(name, boolean.has(name) ? text !== "false" : text, arg);
      else if (positive !== name && negatable.has(positive)) set(positive, false, arg, true);
      else if (next !== "" && !boolean.has(name) && !next.startsWith("-")) {
        set(name, next, arg);
        i++;
      } else if (/^(true|false)$/.test(next)) {
        set(name, next === "true", arg);
        i++;
      } else set(name, string.has(name) ? "" : true, arg);
    } else if (/^-[^-]/.test(arg)) {
      if (short(arg, next)) i++;
    } else {
      if (options.unknown?.(arg) !== false) rest.push(string.has("_") ? arg : numeric(arg));
      if (options.stopEarly) {
        rest.push(...before.slice(i + 1));
        break;
      }
    }
  }

  /** Sets the letters of `-abc`, `-n4`, `-o=file`; true where the last one took the next argument. */
  function short(arg: string, next: string): boolean {
    for (let at = 1; at < arg.length - 1; at++) {
      const [letter = "", tail] = [arg[at], arg.slice(at + 1)];
      const value = tail.match(/^=(.*)$/s)?.[1] ??
        (/[A-Za-z]/.test(letter) && /^-?\d+(\.\d*)?(e-?\d+)?$/.test(tail) || /^\W/.test(tail)
          ? tail
          : undefined);
      set(letter, value ?? (string.has(letter) ? "" : true), arg);
      if (value !== undefined) return false;
    }
    const last = arg.slice(-1);
    const takes = next !== "" && !/^--?[^-]/.test(next) && !boolean.has(last);
    const bool = !takes && /^(true|false)$/.test(next);
    set(last, takes ? next : bool ? next === "true" : string.has(last) ? "" : true, arg);
    return takes || bool;
  }

  for (const [name, value] of Object.entries(options.default ?? {})) {
    for (const key of family(name)) if (!found.has(key)) found.set(key, value);
  }
  for (const name of boolean) if (!found.has(name)) found.set(name, collect.has(name) ? [] : false);
  for (const name of string) if (!found.has(name) && collect.has(name)) found.set(name, []);
  found.delete("_");
  const result: Args = { ...Object.fromEntries(found), _: rest };
  if (options["--"]) result["--"] = [...after];
  else rest.push(...after);
  return result;
}

function numeric(text: string): string | number {
  return /\S/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
}
