import { AssertionError as NodeAssertionError } from "node:assert";
import { inspect } from "node:util";

/** The two values set side by side, as node:assert prints them. */
export function difference(actual: unknown, expected: unknown): string {
  const { message } = new NodeAssertionError({ actual, expected, operator: "deepStrictEqual" });
  return message.slice(message.indexOf("\n") + 1);
}

/** One value on one line, however long. */
export function format(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: Infinity });
}

/** `: message` or a period, as @std/assert ends its sentences. */
export function suffix(message: string | undefined): string {
  return message ? `: ${message}` : ".";
}
