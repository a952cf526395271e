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
export {
  familyOf,
  type SchedulerConfig,
  type SchedulerName,
  schedulerName,
  unfollowed,
  withDefaults,
} from "./_config.ts";
export {
  continuousVpProcess,
  edmProcess,
  flowProcess,
  geometric,
  type SigmaRange,
  veProcess,
} from "./continuous.ts";
export { cosine } from "./cosine.ts";
export { discreteProcess, levelAt } from "./discrete.ts";
export { exponential } from "./exponential.ts";
export { laplace } from "./laplace.ts";
export { linear, linearOpenai } from "./linear.ts";
export { path, type PathOptions } from "./path.ts";
export type { PathRule } from "./paths/_rule.ts";
export { AYS_LISTS } from "./paths/ays.ts";
export { betaSigmas } from "./paths/beta.ts";
export { exponential as exponentialSigmas } from "./paths/exponential.ts";
export { karras as karrasSigmas } from "./paths/karras.ts";
export { lcmTimesteps } from "./paths/lcm.ts";
export { PATH_ALIASES, PATH_RULES } from "./paths/mod.ts";
export { polyexponential as polyexponentialSigmas } from "./paths/polyexponential.ts";
export { vpSigmas } from "./paths/vp.ts";
export { type Posterior, posterior } from "./posterior.ts";
export { CLEAN, type Conversion, type Interpolation, isFlow, type Process } from "./process.ts";
export { isRespacing, respacedTimesteps } from "./respacing.ts";
export { ends, findRule, type Route, routeOf, sigmaRoute, timestepRoute } from "./route.ts";
export { scaledLinear } from "./scaled_linear.ts";
export { ownRoute, pathOf, processOf, spacingOf } from "./scheduler.ts";
export { sigmoid } from "./sigmoid.ts";
export { spacedTimesteps, type Spacing, SPACINGS } from "./spacing.ts";
export { rescaleZeroSnr } from "./zero_snr.ts";
