/**
 * The levels that a run visits.
 *
 * @module
 */
import type { Level } from "../plugin.ts";
import { choiceOf, flagOf, numberOf, type SchedulerConfig, withDefaults } from "./_config.ts";
import { alphasCumprodOf } from "./betas.ts";
import { respacedTimesteps } from "./respacing.ts";
import { spacedTimesteps, type Spacing, SPACINGS } from "./spacing.ts";

/** Without noise: where a path ends. Its t is -1, which no network is asked about. */
export const CLEAN: Level = { t: -1, alpha: 1, sigma: 0 };

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

/**
 * The level of a training timestep.
 *
 * @param t An index into `alphasCumprod`.
 * @param timeScale Multiplies the t of the level.
 *
 * @throws {RangeError} If there is no such timestep.
 */
export function levelAt(alphasCumprod: ArrayLike<number>, t: number, timeScale = 1): Level {
  const signal = alphasCumprod[t];
  if (signal === undefined) {
    throw new RangeError(
      `Cannot visit timestep ${t}: it must be an integer between 0 and ${alphasCumprod.length - 1}`,
    );
  }
  return { t: t * timeScale, alpha: Math.sqrt(signal), sigma: Math.sqrt(1 - signal) };
}

/** What a run may choose beside what its model's scheduler says. */
export interface PathOverrides {
  /** Instead of `timestep_spacing`. */
  readonly spacing?: Spacing | undefined;
  /** Instead of `steps_offset`. */
  readonly stepsOffset?: number | undefined;
  /** Instead of `set_alpha_to_one`. */
  readonly setAlphaToOne?: boolean | undefined;
}

/**
 * The {@linkcode path} of a model's `scheduler_config.json`: its betas, its `timestep_spacing`,
 * `steps_offset` and `set_alpha_to_one`, or the defaults of its class. The timesteps are those of
 * DDPMScheduler and DDIMScheduler; other classes of diffusers place theirs by rules of their own.
 *
 * @throws {TypeError} If a key of the configuration has a value of the wrong type.
 * @throws {RangeError} If a value is out of its range.
 */
export function pathOf(
  config: SchedulerConfig,
  steps: number,
  overrides: PathOverrides = {},
): Level[] {
  const values = withDefaults(config);
  const spacing = overrides.spacing ?? choiceOf(values, "timestep_spacing", SPACINGS);
  const stepsOffset = overrides.stepsOffset ?? numberOf(values, "steps_offset");
  const setAlphaToOne = overrides.setAlphaToOne ?? flagOf(values, "set_alpha_to_one");
  const alphasCumprod = alphasCumprodOf(config);
  return path({ alphasCumprod, spacing, steps, stepsOffset, setAlphaToOne });
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
