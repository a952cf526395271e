import type { Level } from "../plugin.ts";
import {
  checkSigma,
  CLEAN,
  type Conversion,
  convertTime,
  type Interpolation,
  type Process,
} from "./process.ts";

/**
 * What stands for an alpha-bar of 0 where sigma / alpha has to be finite: diffusers' choice, the
 * smallest positive number of half precision.
 */
const FAINT = 2 ** -24;

/**
 * The variance-preserving process of a network that was trained at whole timesteps, and the levels
 * between them. The first level is that of timestep 0: below it a level keeps its t.
 *
 * @param alphasCumprod The share of the image's variance that is left at each timestep, falling.
 * @param faint True: an alpha-bar of 0 at the last timestep becomes 2⁻²⁴, so that its sigma is
 * finite, as in diffusers' solvers that divide by alpha.
 */
export function discreteProcess(alphasCumprod: ArrayLike<number>, faint = false): Process {
  const last = alphasCumprod.length - 1;
  const signals = Float64Array.from(
    alphasCumprod,
    (signal) => faint && signal === 0 ? FAINT : signal,
  );
  // Below all others, so that sigma rises up to the last timestep.
  const least = Math.min(FAINT, (signals[last - 1] ?? 1) / 4);
  const ratios = signals.map((signal) => Math.sqrt((1 - signal) / (signal || least)));
  const logs = ratios.map(Math.log);
  const at = (values: Float64Array, index: number) => values[index] ?? NaN;
  const ofRatio = (t: number, ratio: number): Level => {
    const length = Math.hypot(1, ratio);
    return { t, alpha: 1 / length, sigma: ratio / length };
  };

  /** t of a log sigma: linear between timesteps, 0 below the first and the last above it. */
  const timeOf = (log: number): number => {
    const below = logs.findLastIndex((own) => log >= own);
    const low = Math.max(0, Math.min(below, last - 1));
    const high = Math.min(low + 1, last);
    if (low === high) return low;
    const share = (log - at(logs, low)) / (at(logs, high) - at(logs, low));
    return low + Math.min(1, Math.max(0, share));
  };
  const atSigma = (sigma: number, conversion: Conversion = "fractional"): Level => {
    checkSigma(sigma);
    if (sigma === 0) return CLEAN;
    const log = Math.log(sigma);
    const t = convertTime(timeOf(log), conversion);
    return sigma === Infinity ? { t, alpha: 0, sigma: 1 } : ofRatio(t, sigma);
  };
  return {
    sigmaMin: at(ratios, 0),
    sigmaMax: at(ratios, last),
    timesteps: last + 1,
    atSigma,
    atRatio: (ratio) => atSigma(ratio),
    atTime(t, interpolation: Interpolation = "linear") {
      if (Number.isInteger(t) || !(t > 0 && t < last)) return levelAt(signals, t);
      const [low, share] = [Math.floor(t), t - Math.floor(t)];
      const values = interpolation === "linear" ? ratios : logs;
      const between = at(values, low) + share * (at(values, low + 1) - at(values, low));
      return ofRatio(t, interpolation === "linear" ? between : Math.exp(between));
    },
    ratioOf: (sigma) => sigma,
    sigmaOf: (ratio) => ratio,
  };
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
