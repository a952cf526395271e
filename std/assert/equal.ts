import { isDeepStrictEqual } from "node:util";

/** Deep equality; as in @std/assert, 0 equals -0, here however only outside of objects and in typed arrays. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b || isDeepStrictEqual(a, b)) return true;
  if (!isNumbers(a) || !isNumbers(b) || a.constructor !== b.constructor) return false;
  return a.length === b.length && a.every((value, i) => value === b[i] || Object.is(value, b[i]));
}

function isNumbers(value: unknown): value is Float32Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}
