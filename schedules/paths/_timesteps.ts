/**
 * What the rules that pick training timesteps share.
 *
 * @module
 */
import type { Options, Values } from "../../plugin.ts";
import type { Process } from "../process.ts";

/** Options of these rules. */
export const timestepOptions = {
  extra: {
    type: "flag",
    default: false,
    help: "space n + 1 timesteps and leave out the cleanest, as DPM-Solver does",
  },
  lambda_min: {
    type: "number",
    default: -100,
    help: "leave out timesteps whose log(alpha / sigma) is below: -5.1 for a cosine schedule",
  },
} as const satisfies Options;

/** How many timesteps are left, from 0 on, once those with too little signal are left out. */
export function clippedTimesteps(
  process: Process,
  total: number,
  { lambda_min }: Pick<Values<typeof timestepOptions>, "lambda_min">,
): number {
  let last = total;
  if (lambda_min === timestepOptions.lambda_min.default) return last; // also where alpha is 0
  while (last > 1 && -Math.log(ratioAt(process, last - 1)) < lambda_min) last--;
  return last;
}

function ratioAt(process: Process, t: number): number {
  const { alpha, sigma } = process.atTime(t);
  return sigma / alpha;
}

/**
 * Refuses steps that are no integer from 1 to the number of timesteps.
 *
 * @throws {RangeError} If they are.
 */
export function checkSteps(steps: number, total: number): void {
  if (Number.isInteger(steps) && steps >= 1 && steps <= total) return;
  throw new RangeError(
    `Cannot space ${steps} steps over ${total} training timesteps:` +
      ` steps must be between 1 and ${total}`,
  );
}
