import type { Level, NoiseProcess } from "../plugin.ts";

/**
 * The process behind a path, guessed from its levels alone: variance-exploding where every alpha is
 * 1, of a flow where alpha + sigma is 1 throughout, else variance-preserving. Between two levels t is
 * linear in log(sigma / alpha), as in k-diffusion; beyond them it stays.
 *
 * @example
 * ```ts
 * import { pathProcess } from "./process.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const process = pathProcess([4, 1, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma })));
 * assertEquals(process.atRatio(2), { t: 2.5, alpha: 1, sigma: 2 });
 * ```
 */
export function pathProcess(path: readonly Level[]): NoiseProcess {
  const scale = scaleOf(path);
  const level = (t: number, ratio: number): Level =>
    ratio === Infinity
      ? { t, alpha: 0, sigma: 1 }
      : { t, alpha: scale(ratio), sigma: ratio * scale(ratio) };
  const knots = path
    .map(({ t, alpha, sigma }) => ({ t, log: Math.log(sigma / alpha) }))
    .filter(({ log }) => Number.isFinite(log))
    .sort((a, b) => a.log - b.log);
  const [times, logs] = [knots.map(({ t }) => t), knots.map(({ log }) => log)];
  const own = (ratio: number) =>
    path.find(({ alpha, sigma }) => {
      const known = sigma / alpha;
      return known === ratio || Math.abs(known / ratio - 1) < 1e-12;
    });
  return {
    atRatio: (ratio) => own(ratio) ?? level(interpolate(logs, times, Math.log(ratio)), ratio),
    atTime: (time) =>
      path.find(({ t }) => t === time) ?? level(time, Math.exp(interpolate(times, logs, time))),
  };
}

/** alpha at sigma / alpha. */
function scaleOf(path: readonly Level[]): (ratio: number) => number {
  if (path.every(({ alpha }) => alpha === 1)) return () => 1;
  const isFlow = path.every(({ alpha, sigma }) => Math.abs(alpha + sigma - 1) < 1e-6);
  return isFlow ? (ratio) => 1 / (1 + ratio) : (ratio) => 1 / Math.hypot(1, ratio);
}

/** y at x where both are piecewise linear between knots, rising in x, and constant beyond. */
function interpolate(xs: readonly number[], ys: readonly number[], x: number): number {
  const above = xs.findIndex((knot) => knot > x);
  const [low, high] = above === -1
    ? [xs.length - 1, xs.length - 1]
    : [Math.max(0, above - 1), above];
  const [x0 = NaN, x1 = NaN, y0 = NaN, y1 = NaN] = [xs[low], xs[high], ys[low], ys[high]];
  return low === high || x1 === x0 ? y0 : y0 + (y1 - y0) * (x - x0) / (x1 - x0);
}
