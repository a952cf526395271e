/**
 * Runs of diffusers and of k-diffusion on a mixture of Gaussians, which ours must repeat step by
 * step. Noise is given out in the order in which they drew theirs.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { fromEps, fromV, fromX0, type Images, type Level, type Sampler } from "../../plugin.ts";
import type { NoiseProcess, Prediction } from "../../plugin.ts";
import { run } from "../../pipeline/run.ts";
import { alphasCumprod, linear, rescaleZeroSnr, scaledLinear } from "../../schedules/mod.ts";
import { readFixture } from "../_safetensors.ts";
import diffusers from "../fixtures/samplers-diffusers/cases.json" with { type: "json" };
import kDiffusion from "../fixtures/samplers-kdiffusion/cases.json" with { type: "json" };
import { choose, cleanOf, distance, givenNoise } from "../pipeline/_closed_form.ts";

/** Values of a sampler's options. */
export type Given = Readonly<Record<string, string | number | boolean>>;

/** A run to repeat. */
interface Recording {
  readonly path: readonly Level[];
  readonly process?: NoiseProcess;
  readonly predict: (x: Images, at: Level) => Prediction;
  /** The start and what followed each of our steps, `[batch, 1, 1, 2]`. */
  readonly states: readonly Float64Array[];
  readonly noise: readonly Float64Array[];
}

const SHAPE = [5, 1, 1, 2] as const;
const SIZE = 10;
const parts = (data: Float64Array): Float64Array[] =>
  Array.from({ length: data.length / SIZE }, (_, i) => data.subarray(i * SIZE, (i + 1) * SIZE));
const mixtureOf = ({ w, mu, s }: typeof kDiffusion.gmm) => ({
  weights: w,
  means: mu,
  deviations: s,
});

/**
 * Runs a sampler as it was recorded.
 *
 * @param tolerance Of each state, as a share of its largest value.
 */
async function assertRun(
  sampler: Sampler,
  given: Given,
  { path, process, predict, states, noise }: Recording,
  tolerance: number,
): Promise<void> {
  const ours: Float64Array[] = [];
  const [start = new Float64Array()] = states;
  const from = tf.tensor4d(Float32Array.from(start), [...SHAPE]);
  const x = await run({
    sampler: choose(sampler, given),
    path,
    ...(process && { process }),
    start: from,
    predict: (x, at) => Promise.resolve(tf.tidy(() => ({ ...predict(x, at) }))),
    noise: givenNoise(SHAPE, noise),
    onStep({ x }) {
      ours.push(Float64Array.from(x.dataSync()));
    },
  });
  tf.dispose([x, from]);
  assertEquals(ours.length, states.length - 1);
  for (const [step, state] of ours.entries()) {
    const wanted = states[step + 1] ?? [];
    const apart = distance(state, wanted);
    const allowed = tolerance * Math.max(...Array.from(wanted, Math.abs));
    assert(apart <= allowed, `step ${step + 1} is off by ${apart}, not by ${allowed}`);
  }
}

/** The name of a run of k-diffusion. */
export type KDiffusionCase = keyof typeof kDiffusion.cases;

/** Repeats a run of k-diffusion: variance-exploding, the model known at every sigma. */
export async function assertKDiffusion(
  name: KDiffusionCase,
  sampler: Sampler,
  given: Given = {},
): Promise<void> {
  const expected = readFixture("samplers-kdiffusion/expected.safetensors");
  const mixture = mixtureOf(kDiffusion.gmm);
  const sigmas = [...expected(`sigmas.${kDiffusion.cases[name].sigmas}`).data];
  await assertRun(sampler, given, {
    path: sigmas.map((sigma) => ({ t: sigma, alpha: 1, sigma })),
    predict: (x, at) => {
      const clean = cleanOf(mixture, { x: x.dataSync(), size: 2, at });
      return fromX0(x, at, tf.tensor4d(Float32Array.from(clean), [...SHAPE]));
    },
    states: parts(expected(`${name}.traj`).data),
    noise: parts(expected("noise").data),
  }, 1e-5);
}

/** The name of a run of diffusers. */
export type DiffusersCase = keyof typeof diffusers.cases;

/** What the fixture's configurations hold. */
interface Config {
  readonly beta_start: number;
  readonly beta_end: number;
  readonly beta_schedule: string;
  readonly clip_sample?: boolean;
  readonly set_alpha_to_one?: boolean;
  readonly rescale_betas_zero_snr?: boolean;
  readonly skip_prk_steps?: boolean;
}

/** Repeats a run of diffusers: its timesteps, its sigmas, and its model, which goes by t alone. */
export async function assertDiffusers(
  name: DiffusersCase,
  sampler: Sampler,
  given: Given = {},
  tolerance = 1e-5,
): Promise<void> {
  const expected = readFixture("samplers-diffusers/expected.safetensors");
  const { scheduler, config: anyConfig, prediction, learned_range_channels: learned } =
    diffusers.cases[name];
  const config: Config = anyConfig;
  const mixture = mixtureOf(diffusers.gmm);
  const table = tableOf(config);
  const states = parts(expected(`${name}.traj`).data);
  const times = [...expected(`${name}.timesteps`).data];
  const kept = stepsOf(scheduler, config, times);
  const predict = (x: Images, at: Level): Prediction => {
    const length = Math.hypot(at.alpha, at.sigma); // their models see the variance-preserving x
    const level = table.atTime(at.t);
    const noisy = Array.from(x.dataSync(), (value) => Math.fround(value / length));
    const answer = cleanOf(mixture, { x: noisy, size: 2, at: level }).map((clean, i) => {
      const eps = ((noisy[i] ?? NaN) - level.alpha * clean) / level.sigma;
      return prediction === "epsilon" ? eps : level.alpha * eps - level.sigma * clean;
    });
    const raw = tf.tensor4d(Float32Array.from(answer), [...SHAPE]);
    const mix = learned && tf.mul(tf.add(tf.tensor(learned, [1, 1, 1, 2]), 1), 0.5);
    const rest = mix === null ? {} : { mix: tf.mul(tf.onesLike(raw), mix) as Images };
    const own = { ...at, alpha: at.alpha / length, sigma: at.sigma / length };
    const seen = tf.div(x, length) as Images;
    const guess = prediction === "epsilon"
      ? fromEps(seen, own, raw, rest)
      : fromV(seen, own, raw, rest);
    if (config.clip_sample !== true) return guess;
    const clipped = tf.clipByValue(guess.x0, -1, 1);
    return { ...guess, x0: clipped };
  };
  await assertRun(sampler, given, {
    path: levelsOf(name, expected, kept.map(({ time }) => time), table),
    process: table,
    predict,
    states: [0, ...kept.map(({ state }) => state)].map((i) => states[i] ?? new Float64Array()),
    noise: parts(expected("noise").data),
  }, tolerance);
}

/** The timesteps of a run with the levels between them; sigma / alpha is linear in t, as theirs is. */
function tableOf({ beta_start, beta_end, beta_schedule, rescale_betas_zero_snr }: Config) {
  const betas = (beta_schedule === "linear" ? linear : scaledLinear)(1000, beta_start, beta_end);
  const signals = alphasCumprod(rescale_betas_zero_snr ? rescaleZeroSnr(betas) : betas);
  const ratioOf = (t: number) => Math.sqrt((1 - (signals[t] ?? NaN)) / (signals[t] ?? NaN));
  const level = (t: number, ratio: number): Level =>
    ratio === Infinity ? { t, alpha: 0, sigma: 1 } : atRatio(t, ratio);
  return {
    atTime(t: number) {
      const [low, share] = [Math.floor(t), t % 1];
      return level(
        t,
        share === 0 ? ratioOf(t) : ratioOf(low) * (1 - share) + ratioOf(low + 1) * share,
      );
    },
    atRatio(ratio: number) {
      const above = Math.max(1, signals.findIndex((_, t) => ratioOf(t) >= ratio));
      const [low, high] = [Math.log(ratioOf(above - 1)), Math.log(ratioOf(above))];
      return level(above - 1 + (Math.log(ratio) - low) / (high - low), ratio);
    },
  };
}

const atRatio = (t: number, ratio: number): Level => ({
  t,
  alpha: 1 / Math.hypot(1, ratio),
  sigma: ratio / Math.hypot(1, ratio),
});

/**
 * What our steps are of theirs: two of their calls are one step of Heun, four are one of Runge and
 * Kutta, and the first step of PLMS is made twice.
 */
function stepsOf(
  scheduler: string,
  { skip_prk_steps }: Config,
  times: readonly number[],
): { readonly time: number; readonly state: number }[] {
  const calls = times.length;
  const starts = scheduler === "HeunDiscreteScheduler"
    ? times.map((_, call) => call).filter((call) => call % 2 === 0)
    : scheduler !== "PNDMScheduler"
    ? times.map((_, call) => call)
    : skip_prk_steps
    ? times.map((_, call) => call).filter((call) => call !== 1)
    : [0, 4, 8, ...times.map((_, call) => call).slice(12)];
  return starts.map((call, i) => ({ time: times[call] ?? NaN, state: starts[i + 1] ?? calls }));
}

/** The levels of a run: from its sigmas, where it has some, of the kind that its solver works with. */
function levelsOf(
  name: DiffusersCase,
  expected: ReturnType<typeof readFixture>,
  times: readonly number[],
  { atTime }: NoiseProcess,
): Level[] {
  const { scheduler, config } = diffusers.cases[name];
  const exploding = /^(Euler|Heun|LMS|KDPM2)/.test(scheduler);
  if (!exploding && /^(DDPM|DDIM|PNDM|LCM|TCD)/.test(scheduler)) {
    const { set_alpha_to_one }: Config = config;
    const clean = { t: -1, alpha: 1, sigma: 0 };
    return [...times.map((t) => atTime(t)), set_alpha_to_one === false ? atTime(0) : clean];
  }
  const sigmas = [...expected(`${name}.sigmas`).data];
  const levels = scheduler.startsWith("Heun") ? [...new Set(sigmas)] : sigmas;
  return levels.map((sigma, i) => {
    const t = times[i] ?? -1;
    return exploding ? { t, alpha: 1, sigma } : atRatio(t, sigma);
  });
}
