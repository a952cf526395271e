/**
 * Importance sampling of timesteps (Improved DDPM, section 3.3, equation 18): those whose losses
 * are large are visited more often, and count less each time.
 *
 * @module
 */
import type { SamplerMemory, TimestepSampler } from "./mod.ts";
import { stratified } from "./uniform.ts";

/** Losses of a timestep that are remembered. */
const HISTORY = 10;

/** The share of timesteps that are drawn uniformly, so that none is forgotten. */
const UNIFORM = 1e-3;

/** The sampler, and what it knows. */
export interface SecondMoment extends TimestepSampler {
  readonly memory: SamplerMemory;
  /** The probability of each timestep: uniform until each has as many losses as are remembered. */
  probabilities(): Float64Array;
}

/** Draws timestep t in proportion to √E[L_t²] over the last ten losses there. */
export function secondMoment(count: number): SecondMoment {
  let losses = new Float32Array(count * HISTORY); // of each timestep, the oldest first
  let seen = new Float32Array(count); // losses that a timestep has
  const probabilities = () => {
    if (!seen.every((number) => number === HISTORY)) return new Float64Array(count).fill(1 / count);
    const moments = Float64Array.from({ length: count }, (_, t) => {
      const own = losses.subarray(t * HISTORY, (t + 1) * HISTORY);
      return Math.sqrt(own.reduce((sum, loss) => sum + loss ** 2, 0) / HISTORY);
    });
    const total = moments.reduce((sum, moment) => sum + moment, 0);
    if (total === 0) return new Float64Array(count).fill(1 / count);
    return moments.map((moment) => moment / total * (1 - UNIFORM) + UNIFORM / count);
  };
  return {
    probabilities,
    draw(shares) {
      const chances = probabilities();
      const times = inverse(chances, stratified(shares));
      const importance = Float64Array.from(times, (t) => 1 / (count * (chances[t] ?? 1)));
      return { times, importance };
    },
    memory: {
      observe(times, values) {
        Array.from(times).forEach((t, index) => {
          const own = losses.subarray(t * HISTORY, (t + 1) * HISTORY);
          const known = seen[t] ?? 0;
          if (known === HISTORY) own.copyWithin(0, 1);
          own[Math.min(known, HISTORY - 1)] = values[index] ?? 0;
          seen[t] = Math.min(known + 1, HISTORY);
        });
      },
      save: () => Float32Array.from([...seen, ...losses]),
      restore(saved) {
        if (saved.length !== count * (HISTORY + 1)) {
          throw new RangeError(
            `Cannot take up losses of ${
              saved.length / (HISTORY + 1)
            } timesteps: there are ${count}`,
          );
        }
        seen = saved.slice(0, count);
        losses = saved.slice(count);
      },
    },
  };
}

/** The timesteps at places in [0, 1) of their distribution; places rise. */
function inverse(chances: Float64Array, places: Float64Array): Int32Array {
  let t = 0;
  let below = 0; // the chance of all timesteps before t
  return Int32Array.from(places, (place) => {
    while (t < chances.length - 1 && place >= below + (chances[t] ?? 0)) below += chances[t++] ?? 0;
    return t;
  });
}
