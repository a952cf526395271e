import { AssertionError } from "./assertion_error.ts";

/** Fails where the program must never arrive. */
export function unreachable(reason?: string): never {
  throw new AssertionError(`Unreachable${reason ? `: ${reason}` : "."}`);
}
