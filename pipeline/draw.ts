/**
 * Draws the images of a run, batch by batch.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Edit } from "../editing/edit.ts";
import { type Bitmap, toBitmaps } from "../images/pixels.ts";
import { type ImageNoise, imageNoise, imageSeeds } from "../noise/mod.ts";
import type { Images } from "../plugin.ts";
import { familyOf } from "../schedules/mod.ts";
import { type Denoiser, guidedPredict } from "./denoiser.ts";
import { edgeOf, type Model } from "./model.ts";
import type { Plan } from "./plan.ts";
import { type Progress, run, startDeviation } from "./run.ts";
import { conditionsOf, type Settings } from "./settings.ts";

/** A part of a run and how it is cut into batches. */
export interface Draw {
  readonly plan: Plan;
  readonly settings: Settings;
  /** Images from `first` to before `end`. */
  readonly first: number;
  readonly end: number;
  readonly batchSize: number;
  /** What it begins with and keeps, where that is not noise alone. */
  readonly edit?: Edit | undefined;
  readonly signal?: AbortSignal | undefined;
  /** After each step of each batch. */
  onStep?(progress: Progress, batch: Batch): void | Promise<void>;
}

/** Some images of a run. */
export interface Batch {
  /** The batch's number, from 0, and how many there are. */
  readonly number: number;
  readonly batches: number;
  /** The numbers of its images in the whole run. */
  readonly indices: readonly number[];
}

/** Drawn images. */
export interface Drawn extends Batch {
  readonly bitmaps: readonly Bitmap[];
}

/** Images as bytes. Score-based models have pixels from 0 to 1, all others from -1 to 1. */
export async function bitmapsOf(
  x: Images,
  { scheduler }: Pick<Model, "scheduler">,
): Promise<Bitmap[]> {
  const values = await x.data() as Float32Array;
  const unit = familyOf(scheduler) === "ve";
  return toBitmaps(unit ? values.map((value) => 2 * value - 1) : values, x.shape);
}

/** The images that a run starts with: noise alone, unless it edits. */
function startImages(
  noise: ImageNoise,
  { plan, settings, edit }: Draw,
  indices: readonly number[],
) {
  const [level] = plan.levels;
  const deviation = plan.start ?? (level && startDeviation(level));
  if (level === undefined || deviation === undefined) return undefined; // which run() refuses
  return edit?.begin({ noise, rng: settings.rng, indices, level, deviation }) ??
    tf.tidy(() => tf.mul(tf.tensor4d(noise.draw(), [...noise.shape]), deviation));
}

/**
 * Draws a part of a run. An image depends on its own seed and label only, not on its batch.
 *
 * @throws What {@linkcode run} throws, and the reason of an aborted signal.
 */
export async function* drawBatches(denoiser: Denoiser, draw: Draw): AsyncGenerator<Drawn> {
  const { plan, settings, first, end, batchSize, edit, signal, onStep } = draw;
  const { model } = denoiser;
  const { in_channels: channels } = model.unet.config;
  const edge = edgeOf(model);
  const batches = Math.ceil((end - first) / batchSize);
  for (let number = 0; number < batches; number++) {
    const start = first + number * batchSize;
    const count = Math.min(batchSize, end - start);
    const batch = { number, batches, indices: Array.from({ length: count }, (_, i) => start + i) };
    const noise = imageNoise(settings.rng, imageSeeds(settings.seed, count, start), [
      edge,
      edge,
      channels,
    ]);
    const initial = startImages(noise, draw, batch.indices);
    const x = await run({
      sampler: edit?.around?.(plan.sampler) ?? plan.sampler,
      path: plan.levels,
      process: plan.process,
      start: initial,
      predict: guidedPredict(
        denoiser,
        conditionsOf(model, settings, batch.indices),
        plan.guidances,
        plan.sampler.plugin.takesShift === true,
      ),
      noise,
      signal,
      onStep: (progress) => onStep?.(progress, batch),
    }).finally(() => initial?.dispose());
    const drawn = await bitmapsOf(x, model);
    const bitmaps = edit?.finish ? drawn.map(edit.finish) : drawn;
    x.dispose();
    yield { ...batch, bitmaps };
  }
}
