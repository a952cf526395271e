import { combine, type Level, type Sampler } from "../plugin.ts";
import heun from "./heun.ts";

const options = {
  t_min: { type: "number", default: 0.06, min: 1e-6, help: "noise level where it turns back up" },
  t_max: { type: "number", default: 0.3, min: 0, help: "noise level that it goes back to" },
  restarts: { type: "number", default: 2, min: 0, integer: true, help: "times that it goes back" },
  steps: { type: "number", default: 3, min: 1, integer: true, help: "steps down from there" },
  s_noise: { type: "number", default: 1, min: 0, help: "standard deviation of the added noise" },
} as const;

const ratioOf = ({ alpha, sigma }: Level) => sigma / alpha;
const still = { s_churn: 0, s_tmin: 0, s_tmax: 0, s_noise: 1 };

/** Heun steps down to t_min; then noise up to t_max and down again, as often as wanted. */
const restart: Sampler<typeof options> = {
  name: "restart",
  summary: "Heun steps that add much noise and go down again near the end",
  paper: "https://arxiv.org/abs/2306.14878", // section 3
  calls: 2,
  climbs: true,
  options,
  timeline(path, { t_min, t_max, restarts, steps }, process) {
    const distances = path.map((level) => Math.abs(Math.log(ratioOf(level) / t_min)));
    const turn = distances.indexOf(Math.min(...distances));
    const low = path[turn];
    if (low === undefined || ratioOf(low) >= t_max) return path; // it never comes so far down
    // Spaced as in EDM, equation 5.
    const [top, bottom] = [t_max ** (1 / 7), ratioOf(low) ** (1 / 7)];
    const down = Array.from(
      { length: steps },
      (_, i) => process.atRatio((top + i / steps * (bottom - top)) ** 7),
    );
    const again = Array.from({ length: restarts }, () => [...down, low]).flat();
    return [...path.slice(0, turn + 1), ...again, ...path.slice(turn + 1)];
  },
  step(input) {
    const { x, from, to, noise, options } = input;
    const [high, low] = [ratioOf(to), ratioOf(from)];
    if (high <= low) return heun.step({ ...input, options: still }, undefined);
    const std = to.alpha * Math.sqrt(high ** 2 - low ** 2) * options.s_noise;
    return Promise.resolve({ x: combine([to.alpha / from.alpha, x], [std, noise]) });
  },
};
export default restart;
