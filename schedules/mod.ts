/**
 * Noise schedules, one a file, and the levels that a run visits.
 *
 * @module
 */
export {
  alphasCumprod,
  alphasCumprodOf,
  BETA_SCHEDULES,
  type BetaSchedule,
  betasOf,
} from "./betas.ts";
export type { SchedulerConfig } from "./_config.ts";
export { cosine } from "./cosine.ts";
export { linear, linearOpenai } from "./linear.ts";
export { CLEAN, levelAt, path, pathOf, type PathOptions, type PathOverrides } from "./path.ts";
export { type Posterior, posterior } from "./posterior.ts";
export { respacedTimesteps } from "./respacing.ts";
export { scaledLinear } from "./scaled_linear.ts";
export { sigmoid } from "./sigmoid.ts";
export { spacedTimesteps, type Spacing, SPACINGS } from "./spacing.ts";
export { rescaleZeroSnr } from "./zero_snr.ts";
