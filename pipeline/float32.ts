/**
 * Steps as diffusers' UnCLIPScheduler rounds them. It computes with alpha-bar in single precision, where
 * 1 - alpha_t of a step from pure noise is 1, and the last x0 weighs beta_0 / (1 - alpha-bar_0), which is
 * 0.9995 of 1,000 timesteps. What is drawn with the result, as a decoder with an embedding, shows it.
 *
 * @module
 */
import type { Images, Level, Sampler } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";

const { fround, sqrt } = Math;

/** The levels of a step of a variance-preserving model for which `ddpm` has the rounded weights. */
export function roundedLevels(from: Level, to: Level): [from: Level, to: Level] {
  const [signal, next] = [fround(from.alpha ** 2), fround(to.alpha ** 2)]; // alpha-bar
  const [noise, less] = [fround(1 - signal), fround(1 - next)];
  // Of timesteps that follow each other beta is in a table.
  const ratio = from.t - to.t === 1 ? (from.alpha / to.alpha) ** 2 : fround(signal / next);
  const beta = fround(1 - ratio);
  if (!(beta > 0)) return [from, to];
  const kept = fround(1 - beta);
  const alpha = sqrt(next) * beta / (noise - kept * less);
  return [
    { ...from, alpha: sqrt(kept) * alpha, sigma: sqrt(noise) },
    { ...to, alpha, sigma: sqrt(less) },
  ];
}

/** `ddpm` with these weights; the network is asked at the levels themselves. */
export function inFloat32(chosen: Chosen<Sampler>): Chosen<Sampler> {
  const { plugin } = chosen;
  return {
    ...chosen,
    plugin: {
      ...plugin,
      step(input, history) {
        const [from, to] = roundedLevels(input.from, input.to);
        const predict = (x: Images) => input.predict(x, input.from);
        return plugin.step({ ...input, from, to, predict }, history);
      },
    },
  };
}
