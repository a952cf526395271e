/**
 * Configuration files: JSON whose every key that matters is checked before a network is built.
 *
 * @module
 */

/** JSON, and that of Python, which writes an infinite number by its name. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const named = /([:,[]\s*)(-?)Infinity(?=\s*[,}\]])/g;
    return JSON.parse(text.replace(named, (_, before, sign) => `${before}${sign}1e999`));
  }
}

/** Reads JSON. Throws an Error that names the file where it is none. */
export function readJsonValue(path: string): unknown {
  const text = Deno.readTextFileSync(path);
  try {
    return parseJson(text);
  } catch (cause) {
    throw new Error(`Cannot read "${path}": it is not JSON`, { cause });
  }
}

/** Reads a JSON object. Throws an Error that names the file where it is none. */
export function readJson(path: string): Record<string, unknown> {
  const value = readJsonValue(path);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`Cannot read "${path}": it must hold a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** What a key of a configuration may hold. */
export type Field =
  | "count" // an integer of at least 1
  | "integer"
  | "number"
  | "flag"
  | readonly string[] // one of these words
  | { readonly each: Field } // a list
  | { readonly only: boolean | number | string | null } // all that is known here
  | { readonly one: Field; readonly many: Field } // of either kind
  | { readonly or: null; readonly field: Field };

/** The field, or null. */
export const optional = (field: Field): Field => ({ or: null, field });

/** The field, or a list of such. */
export const orList = (field: Field): Field => ({ one: field, many: { each: field } });

function fits(value: unknown, field: Field): boolean {
  if (field === "count") return Number.isSafeInteger(value) && Number(value) >= 1;
  if (field === "integer") return Number.isSafeInteger(value);
  if (field === "number") return typeof value === "number" && Number.isFinite(value);
  if (field === "flag") return typeof value === "boolean";
  if ("or" in field) return value === null || fits(value, field.field);
  if ("only" in field) return value === field.only;
  if ("one" in field) return fits(value, field.one) || fits(value, field.many);
  if ("each" in field) return Array.isArray(value) && value.every((each) => fits(each, field.each));
  return field.some((word) => word === value);
}

function describe(field: Field): string {
  if (field === "count") return "an integer of at least 1";
  if (field === "integer") return "an integer";
  if (field === "number") return "a number";
  if (field === "flag") return "true or false";
  if ("or" in field) return `${describe(field.field)}, or null`;
  if ("only" in field) return `${JSON.stringify(field.only)}, as no other is known here`;
  if ("one" in field) return `${describe(field.one)}, or ${describe(field.many)}`;
  if ("each" in field) return `a list, each ${describe(field.each)}`;
  return `one of ${field.join(", ")}`;
}

/**
 * A configuration with the defaults of absent keys; keys that the network does not know are left
 * out, as diffusers does.
 *
 * @param path names the file in messages.
 * @param findMisfit The reason why its parts do not fit together, if any.
 * @throws {TypeError} Where a value does not fit its field, or the parts each other.
 */
export function checkConfig<C extends object>(
  values: Readonly<Record<string, unknown>>,
  fields: { readonly [K in keyof C]: Field },
  defaults: C,
  path: string,
  findMisfit?: (config: C) => string | undefined,
): C {
  const known: Partial<Record<keyof C, unknown>> = {};
  for (const key of Object.keys(fields) as (keyof C & string)[]) {
    const value = values[key] === undefined ? defaults[key] : values[key];
    if (!fits(value, fields[key])) {
      throw new TypeError(
        `Cannot use "${path}": ${key} is ${JSON.stringify(value)}, it must be ${
          describe(fields[key])
        }`,
      );
    }
    known[key] = value;
  }
  const config = known as C;
  const reason = findMisfit?.(config);
  if (reason !== undefined) throw new TypeError(`Cannot use "${path}": ${reason}`);
  return config;
}
