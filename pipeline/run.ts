/**
 * The host loop: takes images from noise to clean along a path of levels.
 *
 * @module
 */
import * as tf from "tfjs";
import type { ImageNoise } from "../noise/mod.ts";
import type { Images, Level, Prediction, Sampler } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import type { Predict } from "./denoiser.ts";

/** One run over one batch. */
export interface Run {
  readonly sampler: Chosen<Sampler>;
  /** From the noisiest level to the last; a sampler's own timeline replaces it. */
  readonly path: readonly Level[];
  readonly predict: Predict;
  readonly noise: ImageNoise;
  /** Ends the run between two steps, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** After each step, with the images and what the model last saw behind them. */
  onStep?(progress: Progress): void | Promise<void>;
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
): readonly Level[] {
  const levels = plugin.timeline?.(path, options) ?? path;
  if (levels.length < 2) {
    throw new TypeError(`Sampler "${plugin.name}" made a timeline of fewer than two levels`);
  }
  return levels;
}

/**
 * Draws the images of a batch.
 *
 * @returns `[batch, height, width, channel]`; the caller disposes it.
 * @throws {Error} Where a plugin breaks its contract or an image stops being finite; the message
 * names plugin and step.
 */
export async function run({ sampler, path, predict, noise, signal, onStep }: Run): Promise<Images> {
  const { plugin, options } = sampler;
  const levels = timelineOf(sampler, path);
  const steps = levels.length - 1;
  const draw = () => tf.tensor4d(noise.draw(), [...noise.shape]);
  const [first] = levels;
  if (first === undefined) throw new TypeError("Cannot sample along an empty path");
  let x: Images = tf.tidy(() =>
    // Noise of the first level, as if the images there had unit variance in VP models.
    tf.mul(draw(), first.alpha < 1 ? Math.hypot(first.alpha, first.sigma) : first.sigma)
  );
  let history: unknown;
  for (let index = 0; index < steps; index++) {
    signal?.throwIfAborted();
    const [from, to] = [levels[index], levels[index + 1]];
    if (from === undefined || to === undefined) break;
    let last: Prediction | undefined;
    tf.engine().startScope();
    let next: { readonly x: Images; readonly history?: unknown };
    let kept: tf.Tensor[] = [];
    try {
      next = await plugin.step({
        x,
        from,
        to,
        noise: draw,
        options,
        predict: async (x, at) => last = await predict(x, at, index / steps),
      }, history);
      await checkStep(next, x, plugin.name, index + 1);
      kept = tensorsOf(next);
      await onStep?.({ step: index + 1, steps, level: to, x: next.x, x0: last?.x0 });
    } finally {
      tf.engine().endScope(kept);
    }
    const old = [x, ...tensorsOf(history)].filter((tensor) => !kept.includes(tensor));
    tf.dispose(old);
    ({ x, history } = { history: undefined, ...next });
  }
  tf.dispose(tensorsOf(history).filter((tensor) => tensor !== x));
  return x;
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
