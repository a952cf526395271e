import type { Level, NoiseProcess } from "../plugin.ts";
import { roundHalfEven } from "./_numpy.ts";

/** How the t of a level is read off its sigma, where a network was trained at whole timesteps. */
export const CONVERSIONS = ["fractional", "round", "floor"] as const;

/**
 * - `fractional`: log sigma is interpolated between the timesteps, as k-diffusion does.
 * - `round`: the interpolated t, rounded, as diffusers' solvers do with Karras sigmas. It is the timestep
 *   whose log sigma is nearest, hence k-diffusion's `quantize`, too.
 * - `floor`: the interpolated t, cut off, as they do with exponential and beta sigmas.
 */
export type Conversion = typeof CONVERSIONS[number];

/** What the network is told of a fractional timestep. */
export function convertTime(t: number, conversion: Conversion = "fractional"): number {
  if (conversion === "fractional") return t;
  return conversion === "floor" ? Math.floor(t) : roundHalfEven(t);
}

/** What lies between two timesteps: sigma (diffusers) or log sigma (k-diffusion) is linear in t. */
export const INTERPOLATIONS = ["linear", "log"] as const;

/** One of {@linkcode INTERPOLATIONS}. */
export type Interpolation = typeof INTERPOLATIONS[number];

/**
 * A noise process with the sigmas that paths are spaced by. These are sigma / alpha of a level, as in
 * EDM (Karras et al. 2022), k-diffusion and diffusers; in flow models they are the level's own sigma,
 * as is the custom there.
 */
export interface Process extends NoiseProcess {
  /** The smallest and the largest sigma that the network was trained at. */
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** The number of training timesteps; absent where time is continuous. */
  readonly timesteps?: number | undefined;
  atTime(t: number, interpolation?: Interpolation): Level;
  /** The level of a sigma. */
  atSigma(sigma: number, conversion?: Conversion): Level;
  /** sigma / alpha of a sigma, and back. */
  ratioOf(sigma: number): number;
  sigmaOf(ratio: number): number;
}

/** Whether a process mixes in straight lines, so that its sigmas lie between 0 and 1. */
export function isFlow({ ratioOf }: Process): boolean {
  return ratioOf(1) === Infinity;
}

/** Without noise: where a path ends. Its t is -1, which no network is asked about. */
export const CLEAN: Level = { t: -1, alpha: 1, sigma: 0 };

/**
 * Refuses what is no sigma.
 *
 * @throws {RangeError} If it is.
 */
export function checkSigma(sigma: number, most = Infinity): void {
  if (sigma >= 0 && sigma <= most) return;
  const limit = most === Infinity ? "at least 0" : `between 0 and ${most}`;
  throw new RangeError(`Cannot visit sigma ${sigma}: it must be ${limit}`);
}
