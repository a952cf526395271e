/**
 * Runs of diffusers and of k-diffusion on a mixture of Gaussians, which ours must repeat step by
 * step. Noise is given out in the order in which they drew theirs.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { fromEps, fromV, fromX0, type Images, type Level, type Sampler } from "../../plugin.ts";
import type { NoiseProcess, Options, Prediction } from "../../plugin.ts";
import { checkPlugin } from "../../plugins/load.ts";
import { run } from "../../pipeline/run.ts";
import { alphasCumprod, linear, rescaleZeroSnr, scaledLinear } from "../../schedules/mod.ts";
import { readFixture } from "../_safetensors.ts";
import diffusers from "../fixtures/samplers-diffusers/cases.json" with { type: "json" };
import kDiffusion from "../fixtures/samplers-kdiffusion/cases.json" with { type: "json" };
import more from "../fixtures/samplers-more/cases.json" with { type: "json" };
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

/** Runs that a sampler repeats: their names, and the options that it does so with. */
export interface Trajectories {
  readonly diffusers?: Readonly<Record<string, Given>>;
  readonly kDiffusion?: Readonly<Record<string, Given>>;
  /** Of each state, as a share of its largest value; 1e-5 where absent. */
  readonly tolerance?: Readonly<Record<string, number>>;
}

/** Registers as tests that a sampler repeats these runs. */
export function testTrajectories<O extends Options, H>(
  sampler: Sampler<O, H>,
  { diffusers = {}, kDiffusion = {}, tolerance = {} }: Trajectories,
): void {
  const plugin = checkPlugin("sampler", sampler.name, sampler);
  const kinds = [["diffusers", diffusers, ofDiffusers], [
    "k-diffusion",
    kDiffusion,
    ofKDiffusion,
  ]] as const;
  for (const [library, cases, recordingsOf] of kinds) {
    for (const [name, given] of Object.entries(cases)) {
      Deno.test(`${sampler.name}() makes the steps of ${library}: ${name}`, async () => {
        for (const recording of recordingsOf(name)) {
          await assertRun(plugin, given, recording, tolerance[name] ?? 1e-5);
        }
      });
    }
  }
}

/** A run of k-diffusion or of score-SDE: variance-exploding, the model known at every sigma. */
function ofKDiffusion(name: string): Recording[] {
  const own = name in more.k_diffusion;
  const expected = readFixture(`samplers-${own ? "more" : "kdiffusion"}/expected.safetensors`);
  const cases: Readonly<Record<string, { readonly sigmas?: string; readonly kwargs: object }>> = own
    ? more.k_diffusion
    : kDiffusion.cases;
  const sigmas = [...expected(`sigmas.${cases[name]?.sigmas}`).data];
  return [{
    path: sigmas.map((sigma) => ({ t: sigma, alpha: 1, sigma })),
    predict: denoise,
    states: parts(expected(`${own ? "k." : ""}${name}.traj`).data),
    noise: parts(expected("noise").data),
  }];
}

/** The model of variance-exploding runs. */
export function denoise(x: Images, at: Level): Prediction {
  const clean = cleanOf(mixtureOf(kDiffusion.gmm), { x: x.dataSync(), size: 2, at });
  return fromX0(x, at, tf.tensor4d(Float32Array.from(clean), x.shape));
}

/** A recorded run of diffusers. */
interface Case {
  readonly scheduler: string;
  readonly steps: number;
  readonly config: {
    readonly beta_start: number;
    readonly beta_end: number;
    readonly beta_schedule: string;
    readonly clip_sample?: boolean;
    readonly set_alpha_to_one?: boolean;
    readonly rescale_betas_zero_snr?: boolean;
    readonly skip_prk_steps?: boolean;
  };
  readonly prediction: string;
  readonly learned_range_channels: readonly number[] | null;
}

/**
 * A run of diffusers: its timesteps, its sigmas, and its model, which goes by t alone. It comes in
 * single steps where a step of theirs does not end where the next begins: DDIM goes down by
 * `1000 / steps`, whatever the spacing.
 */
function ofDiffusers(name: string): Recording[] {
  const folder = name in diffusers.cases ? "samplers-diffusers" : "samplers-more";
  const cases: Readonly<Record<string, Case>> = { ...diffusers.cases, ...more.cases };
  const known = cases[name];
  if (known === undefined) throw new RangeError(`There is no run "${name}"`);
  const expected = readFixture(`${folder}/expected.safetensors`);
  const table = tableOf(known);
  const all = parts(expected(`${name}.traj`).data);
  const steps = stepsOf(known, [...expected(`${name}.timesteps`).data]);
  const states = [0, ...steps.map(({ state }) => state)].map((i) => all[i] ?? new Float64Array());
  const times = steps.map(({ time }) => time);
  const noise = parts(expected("noise").data);
  const common = { process: table, predict: modelOf(known, table) };
  const sigmas = /^(DD|PNDM|LCM|TCD)/.test(known.scheduler)
    ? undefined
    : [...expected(`${name}.sigmas`).data];
  const path = levelsOf(known, times, sigmas, table);
  const stride = Math.floor(1000 / known.steps);
  if (
    known.scheduler !== "DDIMScheduler" ||
    times.every((t, i) => t - stride === times[i + 1] || i === times.length - 1)
  ) {
    return [{ ...common, path, states, noise }];
  }
  return times.map((t, i) => {
    const to = t < stride ? path.at(-1) ?? table.atTime(0) : table.atTime(t - stride);
    const pair = [table.atTime(t), to];
    return { ...common, path: pair, states: states.slice(i, i + 2), noise: noise.slice(i) };
  });
}

/** The model of diffusers' runs, whatever the levels are. */
function modelOf(
  { prediction, learned_range_channels: learned, config }: Case,
  { atTime }: NoiseProcess,
): Recording["predict"] {
  const mixture = mixtureOf(diffusers.gmm);
  return (x, at) => {
    const length = Math.hypot(at.alpha, at.sigma); // their models see the variance-preserving x
    const seen = tf.div(x, length) as Images;
    const own = { ...at, alpha: at.alpha / length, sigma: at.sigma / length };
    const level = atTime(at.t);
    const noisy = seen.dataSync();
    const answer = cleanOf(mixture, { x: noisy, size: 2, at: level }).map((clean, i) => {
      const eps = ((noisy[i] ?? NaN) - level.alpha * clean) / level.sigma;
      if (prediction === "sample") return clean;
      return prediction === "epsilon" ? eps : level.alpha * eps - level.sigma * clean;
    });
    const raw = tf.tensor4d(Float32Array.from(answer), [...SHAPE]);
    const mix = learned?.map((value) => (value + 1) / 2);
    const rest = mix && { mix: tf.mul(tf.onesLike(raw), tf.tensor(mix)) as Images };
    const read = { sample: fromX0, epsilon: fromEps }[prediction] ?? fromV;
    const guess = read(seen, own, raw, rest);
    return config.clip_sample ? { ...guess, x0: tf.clipByValue(guess.x0, -1, 1) } : guess;
  };
}

/** The timesteps of a run with the levels between them; sigma / alpha is linear in t, as theirs is. */
function tableOf({ config }: Case): NoiseProcess {
  const { beta_start, beta_end, beta_schedule, rescale_betas_zero_snr } = config;
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
  { scheduler, config }: Case,
  times: readonly number[],
): { readonly time: number; readonly state: number }[] {
  const calls = times.map((_, call) => call);
  const starts = /^(Heun|KDPM2)/.test(scheduler)
    ? calls.filter((call) => call % 2 === 0)
    : scheduler !== "PNDMScheduler"
    ? calls
    : config.skip_prk_steps
    ? calls.filter((call) => call !== 1)
    : [0, 4, 8, ...calls.slice(12)];
  return starts.map((call, i) => ({
    time: times[call] ?? NaN,
    state: starts[i + 1] ?? calls.length,
  }));
}

/** The levels of a run: from its sigmas, where it has some, of the kind that its solver works with. */
function levelsOf(
  { scheduler, config }: Case,
  times: readonly number[],
  sigmas: readonly number[] | undefined,
  { atTime }: NoiseProcess,
): Level[] {
  if (sigmas === undefined) {
    const clean = { t: -1, alpha: 1, sigma: 0 };
    const last = config.set_alpha_to_one === false || scheduler === "TCDScheduler";
    return [...times.map((t) => atTime(t)), last ? atTime(0) : clean];
  }
  const exploding = /^(Euler|Heun|LMS|KDPM2)/.test(scheduler);
  const own = /^(Heun|KDPM2)/.test(scheduler) ? [...new Set(sigmas)] : sigmas; // theirs repeat
  return own.map((sigma, i) => {
    const t = times[i] ?? -1;
    return exploding ? { t, alpha: 1, sigma } : atRatio(t, sigma);
  });
}
