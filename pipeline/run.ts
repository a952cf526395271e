/**
 * The host loop: takes images from noise to clean along a path of levels.
 *
 * @module
 */
import * as tf from "tfjs";
import type { ImageNoise } from "../noise/mod.ts";
import type { Images, Level, NoiseProcess, Prediction, Sampler } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import type { Predict } from "./denoiser.ts";
import { pathProcess } from "./process.ts";

/** One run over one batch. */
export interface Run {
  readonly sampler: Chosen<Sampler>;
  /** The levels to visit, from the noisiest to the last: see {@linkcode timelineOf}. */
  readonly path: readonly Level[];
  /** Where the path's levels are from; {@linkcode pathProcess} of the path where absent. */
  readonly process?: NoiseProcess | undefined;
  readonly predict: Predict;
  readonly noise: ImageNoise;
  /** The images at the first level, which stay the caller's; noise where absent. */
  readonly start?: Images | undefined;
  /** Ends the run between two steps, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** After each step, with the images and what the model last saw behind them. */
  readonly onStep?: ((progress: Progress) => void | Promise<void>) | undefined;
}

/** Where a run stands. */
export interface Progress {
  /** Steps made, from 1. */
  readonly step: number;
  readonly steps: number;
  readonly level: Level;
  /** The images at `level`, NHWC. */
  readonly x: Images;
  /** The clean images of the step's last prediction. */
  readonly x0?: Images | undefined;
}

/** The levels that a run will visit: the sampler's own, or the path's. */
export function timelineOf(
  { plugin, options }: Chosen<Sampler>,
  path: readonly Level[],
  process: NoiseProcess = pathProcess(path),
): readonly Level[] {
  const levels: unknown = plugin.timeline ? plugin.timeline(path, options, process) : path;
  if (!Array.isArray(levels)) {
    throw new TypeError(`Sampler "${plugin.name}" made a timeline that is no list of levels`);
  }
  if (levels.length < 2) {
    throw new TypeError(`Sampler "${plugin.name}" made a timeline of fewer than two levels`);
  }
  return levels;
}

/**
 * Draws the images of a batch. Runs follow each other, since tfjs has one stack of tensor scopes
 * for all of a process: two at once would free each other's tensors.
 *
 * @returns `[batch, height, width, channel]`; the caller disposes it.
 * @throws {Error} Where a plugin breaks its contract or an image stops being finite; the message
 * names plugin and step. Nothing that was computed by then is left behind.
 */
export async function run(input: Run): Promise<Images> {
  const { sampler, path, process = pathProcess(path), predict, noise, start, signal, onStep } =
    input;
  const { name } = sampler.plugin;
  const steps = path.length - 1;
  const [first] = path;
  if (first === undefined || steps < 1) {
    throw new RangeError("Cannot sample along a path of fewer than two levels");
  }
  if (sampler.plugin.climbs !== true) checkFall(path, name);
  const draw = () => tf.tensor4d(noise.draw(), [...noise.shape]);
  let x: Images = start ? tf.clone(start) : tf.tidy(() => tf.mul(draw(), startDeviation(first)));
  let history: unknown;
  const memory: unknown[] = []; // the histories of guidances
  let before: tf.Tensor[] = []; // what a step begins with
  try {
    for (const [index, to] of path.slice(1).entries()) {
      signal?.throwIfAborted();
      let last: Prediction | undefined;
      let next: { readonly x: Images; readonly history?: unknown };
      let kept: tf.Tensor[] = [];
      before = tensorsOf([x, history, memory]);
      tf.engine().startScope();
      try {
        next = await makeStep(sampler, index + 1, {
          x,
          from: path[index] ?? first,
          to,
          path,
          index,
          process,
          noise: draw,
          predict: async (x, at) => last = await predict(x, at, index / steps, to, memory),
        }, history);
        await checkStep(next, x, name, index + 1);
        await onStep?.({ step: index + 1, steps, level: to, x: next.x, x0: last?.x0 });
        kept = tensorsOf([next, memory]);
      } finally {
        tf.engine().endScope(kept);
      }
      tf.dispose(before.filter((tensor) => !kept.includes(tensor)));
      ({ x, history } = { history: undefined, ...next });
    }
  } catch (error) {
    tf.dispose([...before, ...tensorsOf([x, history, memory])]);
    throw error;
  }
  tf.dispose(tensorsOf([history, memory]).filter((tensor) => tensor !== x));
  return x;
}

/** Of the noise of a first level, as if the images there had unit variance in VP models. */
export function startDeviation({ alpha, sigma }: Level): number {
  return alpha < 1 ? Math.hypot(alpha, sigma) : sigma;
}

/** Refuses a path that goes back to a noisier level. */
function checkFall(path: readonly Level[], name: string): void {
  const ratio = ({ alpha, sigma }: Level) => sigma / alpha;
  const step = path.findIndex((level, i) => i > 0 && ratio(level) > ratio(path[i - 1] ?? level));
  if (step === -1) return;
  throw new RangeError(
    `Cannot use sampler "${name}" along a path that climbs from t=${path[step - 1]?.t} to t=${
      path[step]?.t
    }: each level must have at most the noise of the one before`,
  );
}

/** A sampler's step, which is blamed for what it throws, not for what the model does. */
async function makeStep(
  { plugin, options }: Chosen<Sampler>,
  step: number,
  input: Omit<Parameters<Sampler["step"]>[0], "options">,
  history: unknown,
): ReturnType<Sampler["step"]> {
  const others: unknown[] = [];
  const predict = async (x: Images, at: Level) => {
    try {
      return await input.predict(x, at);
    } catch (cause) {
      others.push(cause);
      throw cause;
    }
  };
  try {
    return await plugin.step({ ...input, predict, options }, history);
  } catch (cause) {
    if (others.includes(cause)) throw cause;
    const Kind = cause instanceof RangeError ? RangeError : Error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Kind(`Sampler "${plugin.name}" failed at step ${step}: ${reason}`, { cause });
  }
}

/** All tensors inside a value. */
function tensorsOf(value: unknown): tf.Tensor[] {
  if (value instanceof tf.Tensor) return [value];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [];
  return Object.values(value).flatMap(tensorsOf);
}

async function checkStep(next: unknown, x: Images, name: string, step: number): Promise<void> {
  const fail = (reason: string) => new TypeError(`Sampler "${name}" ${reason} at step ${step}`);
  const result = typeof next === "object" && next !== null && "x" in next ? next.x : undefined;
  if (!(result instanceof tf.Tensor)) throw fail("returned no tensor x");
  if (result.isDisposed) throw fail("returned a tensor x that is disposed");
  if (!tf.util.arraysEqual(result.shape, x.shape)) {
    throw fail(`turned images of shape [${x.shape}] into [${result.shape}]`);
  }
  const values = await result.data();
  for (let index = 0; index < values.length; index++) {
    if (!Number.isFinite(values[index])) {
      throw new Error(
        `Image ${
          Math.floor(index / (values.length / (x.shape[0] || 1)))
        } stopped being finite at step ${step} of sampler "${name}": the weights or a guidance scale are out of range`,
      );
    }
  }
}
