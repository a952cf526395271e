/**
 * The levels that a run visits.
 *
 * @module
 */
import type { Level } from "../plugin.ts";
import { levelAt } from "./discrete.ts";
import { CLEAN } from "./process.ts";
import { respacedTimesteps } from "./respacing.ts";
import { spacedTimesteps, type Spacing } from "./spacing.ts";

/** Which levels to visit, in one of three ways. */
export type PathOptions =
  & {
    /** The share of the image's variance that is left at each training timestep, falling. */
    readonly alphasCumprod: ArrayLike<number>;
    /**
     * True, the default: the path ends {@linkcode CLEAN}. False: at training timestep 0, hence with
     * a little noise that the sampler does not remove, as Stable Diffusion does. A path that visits
     * timestep 0 before does so twice then, and the last step has nothing to do.
     */
    readonly setAlphaToOne?: boolean;
    /** Multiplies the t of every level: 1000 / T for OpenAI's `rescale_timesteps`. Default: 1. */
    readonly timeScale?: number;
  }
  & (
    | {
      readonly spacing: Spacing;
      /** An integer from 1 to the number of training timesteps. */
      readonly steps: number;
      /** What `leading` adds to each timestep, default 0; the other spacings ignore it. */
      readonly stepsOffset?: number;
    }
    | {
      /** Training timesteps, each below the one before. */
      readonly timesteps: readonly number[];
    }
    | {
      /** OpenAI's respacing, see {@linkcode respacedTimesteps}. */
      readonly respacing: string;
    }
  );

/**
 * The levels of a run, noisiest first: one for each step, then the one at which it ends. Posteriors
 * between them are those of a respaced process, since they follow from alphas and sigmas.
 *
 * @throws {RangeError} If there are no timesteps, or some that are no training timesteps, or not in
 * falling order; if steps do not fit.
 * @throws {SyntaxError} If a respacing cannot be read.
 *
 * @example
 * ```ts
 * import { alphasCumprod } from "./betas.ts";
 * import { cosine } from "./cosine.ts";
 * import { path } from "./path.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const levels = path({
 *   alphasCumprod: alphasCumprod(cosine(1000)),
 *   spacing: "trailing",
 *   steps: 4,
 * });
 * assertEquals(levels.map(({ t }) => t), [999, 749, 499, 249, -1]);
 * ```
 */
export function path(options: PathOptions): Level[] {
  const { alphasCumprod, setAlphaToOne = true, timeScale = 1 } = options;
  const timesteps = timestepsOf(options);
  const level = (t: number) => levelAt(alphasCumprod, t, timeScale);
  return [...timesteps.map(level), setAlphaToOne ? CLEAN : level(0)];
}

function timestepsOf(options: PathOptions): readonly number[] {
  const { length } = options.alphasCumprod;
  if ("spacing" in options) {
    return spacedTimesteps(options.spacing, length, options.steps, options.stepsOffset);
  }
  if ("respacing" in options) return respacedTimesteps(length, options.respacing);
  const { timesteps } = options;
  if (timesteps.length === 0) throw new RangeError("Cannot visit timesteps: there are none");
  for (const [i, t] of timesteps.entries()) {
    const before = timesteps[i - 1] ?? Infinity;
    if (t >= before) {
      throw new RangeError(`Cannot visit timestep ${t} after ${before}: timesteps must fall`);
    }
  }
  return timesteps;
}
