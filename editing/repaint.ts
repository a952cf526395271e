/**
 * RePaint's way through a path: every few steps it goes back up, so that what is drawn and what is
 * known come to fit.
 *
 * @module
 */
import type { Level, Options, Values } from "../plugin.ts";

/** Options of `--inpaint repaint`. */
export const repaintOptions = {
  jump: { type: "number", default: 10, min: 1, integer: true, help: "levels that it goes back up" },
  resample: {
    type: "number",
    default: 10,
    min: 1,
    integer: true,
    help: "times that each stretch is gone down; 1 is replace with new noise",
  },
} as const satisfies Options;

/** Whether a level has more noise than another one. */
export function isNoisier(a: Level, b: Level): boolean {
  return a.sigma * b.alpha > b.sigma * a.alpha; // sigma / alpha, also where alpha is 0
}

/**
 * A path with RePaint's jumps (Lugmayr et al. 2022, section 4.2, with the starts of the authors' code):
 * from every `jump`-th level, counted from the last noisy one, back up by `jump` levels, `resample - 1`
 * times. The noise of a jump is drawn in one step, which is the same distribution.
 *
 * @throws {RangeError} Where the path is too short for a jump.
 */
export function withJumps(
  path: readonly Level[],
  { jump, resample }: Values<typeof repaintOptions>,
): readonly Level[] {
  const steps = path.length - 1;
  if (jump >= steps) {
    throw new RangeError(
      `Cannot use inpaint "repaint" with jump=${jump} along ${steps} steps: jump must be smaller`,
    );
  }
  const left = new Map<number, number>(); // jumps still to be made, by steps from the last noisy level
  for (let t = 0; t < steps - jump; t += jump) left.set(t, resample - 1);
  const visited: Level[] = [];
  for (let index = 0; index <= steps; index++) {
    const level = path[index];
    if (level === undefined) break;
    visited.push(level);
    const t = steps - 1 - index;
    const more = left.get(t) ?? 0;
    if (more === 0) continue;
    left.set(t, more - 1);
    index -= jump + 1; // the loop adds one: the next level is `jump` above
  }
  return visited;
}

/**
 * The path as the sampler sees it that makes the step from `path[index]`: one that falls from the last
 * jump's end to the last level, so that its history and its orders are those of a run from there.
 */
export function fallingPart(
  path: readonly Level[],
  index: number,
): { readonly path: readonly Level[]; readonly index: number } {
  let top = index;
  while (top > 0 && !isNoisier(path[top] as Level, path[top - 1] as Level)) top--;
  // After a level's last visit all levels below it come in order, some of them repeatedly.
  const rest = new Set(path.slice(path.lastIndexOf(path[index + 1] as Level)));
  return { path: [...path.slice(top, index + 1), ...rest], index: index - top };
}
