import type { Level, Options } from "../plugin.ts";

/** The options of samplers that step down too far and add noise again. */
export const ancestralOptions = {
  eta: {
    type: "number",
    default: 1,
    min: 0,
    help: "noise of a step: 0 is deterministic, 1 is all",
  },
  s_noise: { type: "number", default: 1, min: 0, help: "standard deviation of the added noise" },
} as const satisfies Options;

/**
 * The noise level that a step goes down to and the noise that takes it up again, both as ratios
 * sigma / alpha: `down² + up²` is the square of the ratio at `to`.
 */
export function ancestral(from: Level, to: Level, eta: number): { down: number; up: number } {
  const ratio = to.sigma / to.alpha;
  const share = (ratio * from.alpha / from.sigma) ** 2;
  const up = Math.min(ratio, eta * ratio * Math.sqrt(Math.max(0, 1 - share)));
  return { down: Math.sqrt(ratio ** 2 - up ** 2), up };
}
