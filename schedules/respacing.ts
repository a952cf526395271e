import { roundHalfEven } from "./_numpy.ts";

/**
 * The timesteps that a respacing string of OpenAI's code keeps, noisiest first (Improved DDPM,
 * Nichol, Dhariwal 2021, section 4, https://arxiv.org/abs/2102.09672).
 *
 * - `"250"`: 250 of them evenly, the first and the last included.
 * - `"10,10,5"`: the timesteps are cut into three sections of one size, the first of them one
 *   longer where there is a remainder; 10, 10 and 5 are kept of them, evenly, with both ends. A
 *   section's only one is its first. Sections may keep none.
 * - `"ddim25"`: every 40th from 0 on, by the DDIM paper; there must be a whole stride that gives
 *   exactly 25. (OpenAI's code has no "ddim1".)
 * - `""`: all of them.
 *
 * @param total T, the number of training timesteps.
 *
 * @throws {SyntaxError} If the text is none of these.
 * @throws {RangeError} If a section is asked for more than it has, no whole stride fits, or nothing
 * is kept.
 *
 * @example
 * ```ts
 * import { respacedTimesteps } from "./respacing.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(respacedTimesteps(1000, "ddim5"), [800, 600, 400, 200, 0]);
 * assertEquals(respacedTimesteps(10, "3,2"), [9, 5, 4, 2, 0]);
 * ```
 */
export function respacedTimesteps(total: number, text: string): number[] {
  if (text === "") return respacedTimesteps(total, `${total}`);
  const [, ddim, sections] = text.match(RESPACING) ?? [];
  if (ddim !== undefined) return strided(total, Number(ddim));
  if (sections === undefined) {
    throw new SyntaxError(
      `Cannot respace by "${text}": it must be like "250", "10,10,5" or "ddim25"`,
    );
  }
  const counts = sections.split(",").map(Number);
  const kept: number[] = [];
  let start = 0;
  for (const [i, count] of counts.entries()) {
    const size = Math.floor(total / counts.length) + (i < total % counts.length ? 1 : 0);
    if (count > size) {
      throw new RangeError(
        `Cannot respace ${total} timesteps by "${text}": section ${i + 1} has only ${size} of them`,
      );
    }
    const stride = count > 1 ? (size - 1) / (count - 1) : 1;
    let at = 0;
    for (let k = 0; k < count; k++) {
      kept.push(start + roundHalfEven(at));
      at += stride; // summed up, with its rounding errors, as there
    }
    start += size;
  }
  if (kept.length === 0) {
    throw new RangeError(`Cannot respace ${total} timesteps by "${text}": it keeps none of them`);
  }
  return kept.reverse();
}

/** `ddimN`, or counts of sections. */
const RESPACING = /^(?:ddim(\d+)|(\d+(?:,\d+)*))$/;

/** Whether a text is one that {@linkcode respacedTimesteps} reads. */
export function isRespacing(text: string): boolean {
  return RESPACING.test(text);
}

/** Every k-th timestep, with the smallest k that keeps `count` of them. */
function strided(total: number, count: number): number[] {
  for (let stride = 1; stride <= total; stride++) {
    if (Math.ceil(total / stride) === count) {
      return Array.from({ length: count }, (_, i) => (count - 1 - i) * stride);
    }
  }
  throw new RangeError(
    `Cannot respace ${total} timesteps by "ddim${count}": no whole stride keeps exactly ${count}`,
  );
}
