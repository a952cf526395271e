import type { Level } from "../plugin.ts";

/**
 * The part of a path that a picture noised to a strength goes down: its last
 * `min(trunc(steps * strength), steps)` steps, as in diffusers (SDEdit, Algorithm 1).
 *
 * @param strength Above 0, which changes nothing, to 1, which is all of the path.
 * @throws {RangeError} Where it is out of range, or so small that no step is left.
 *
 * @example
 * ```ts
 * import { begunAt } from "./strength.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = [4, 3, 2, 1, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }));
 * assertEquals(begunAt(path, 0.6).map(({ sigma }) => sigma), [2, 1, 0]);
 * ```
 */
export function begunAt(path: readonly Level[], strength: number): readonly Level[] {
  if (!(strength > 0 && strength <= 1)) {
    throw new RangeError(`Cannot use strength ${strength}: it must be above 0 and at most 1`);
  }
  const steps = path.length - 1;
  const left = Math.min(Math.trunc(steps * strength), steps);
  if (left >= 1) return path.slice(steps - left);
  throw new RangeError(
    `Cannot use strength ${strength} with ${steps} steps: less than one step is left; take at least ${
      Math.ceil(1 / strength)
    } steps, or more strength`,
  );
}
