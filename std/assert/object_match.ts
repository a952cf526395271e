import { partialDeepStrictEqual } from "node:assert";
import { difference, suffix } from "./_message.ts";
import { AssertionError } from "./assertion_error.ts";

/** Asserts that an object holds at least the expected properties. */
export function assertObjectMatch(
  actual: Record<PropertyKey, unknown>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  try {
    partialDeepStrictEqual(actual, expected);
  } catch {
    throw new AssertionError(`Values are not equal${suffix(msg)}\n${difference(actual, expected)}`);
  }
}
