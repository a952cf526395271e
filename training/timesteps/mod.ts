/**
 * How often a training visits each timestep.
 *
 * @module
 */
export { lognormalTimesteps } from "./lognormal.ts";
export { type SecondMoment, secondMoment } from "./second_moment.ts";
export { spreadTimesteps, uniformTimesteps } from "./uniform.ts";

/** Names of samplers of timesteps. */
export const TIMESTEP_SAMPLERS = ["uniform", "loss-second-moment", "lognormal"] as const;

/** Timesteps of a batch. */
export interface DrawnTimesteps {
  readonly times: Int32Array;
  /** What each loss weighs, so that their mean stays that of uniform timesteps. */
  readonly importance?: Float64Array | undefined;
}

/** Chooses timesteps. */
export interface TimestepSampler {
  /** @param shares Uniform in [0, 1), one a timestep to draw. */
  draw(shares: Float32Array): DrawnTimesteps;
  /** What a sampler learns from the losses; absent where it learns nothing. */
  readonly memory?: SamplerMemory | undefined;
}

/** What a sampler remembers; a checkpoint holds it, so that a resumed run draws the same. */
export interface SamplerMemory {
  /** Takes the losses, not weighed by importance, of timesteps that it drew. */
  observe(times: ArrayLike<number>, losses: ArrayLike<number>): void;
  save(): Float32Array;
  restore(saved: Float32Array): void;
}
