/**
 * Draws the images of a run, batch by batch.
 *
 * @module
 */
import * as tf from "tfjs";
import { type Bitmap, toBitmaps } from "../images/pixels.ts";
import { type ImageNoise, imageNoise, imageSeeds } from "../noise/mod.ts";
import type { Images, Level } from "../plugin.ts";
import { type Given, prepareBeside } from "./beside.ts";
import { type Denoiser, guidedPredict, releaseNetworks } from "./denoiser.ts";
import type { Pixels } from "./codec.ts";
import type { Plan } from "./plan.ts";
import { firstDeviation, type Progress, run } from "./run.ts";
import { conditionsOf, type Settings, sizeOf } from "./settings.ts";

/** A part of a run and how it is cut into batches. */
export interface Draw {
  readonly plan: Plan;
  readonly settings: Settings;
  /** Images from `first` to before `end`. */
  readonly first: number;
  readonly end: number;
  readonly batchSize: number;
  /** Images of these numbers that the network is shown: of the size that `beside.ts` says. */
  readonly beside?: ((indices: readonly number[]) => Promise<Images>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What else of them it is shown. */
  readonly given?: Omit<Given, "shown"> | undefined;
  /** Whether networks are freed before the last latents become pixels: they are not needed again. */
  readonly releases?: boolean | undefined;
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
  /** The same before they became bytes, in [-1, 1] where the model kept to it. */
  readonly pixels: Pixels;
}

/** x as bytes. */
export async function bitmapsOf(x: Images, { codec }: Pick<Denoiser, "codec">): Promise<Bitmap[]> {
  const { data, shape } = await codec.decode(x);
  return toBitmaps(data, shape);
}

/** The images that a run starts with: noise alone. */
function startImages(noise: ImageNoise, deviation: number): Images {
  return tf.tidy(() => tf.mul(tf.tensor4d(noise.draw(), [...noise.shape]), deviation));
}

/**
 * Draws a part of a run. An image depends on its own seed and label only, not on its batch.
 *
 * @throws What {@linkcode run} throws, and the reason of an aborted signal.
 */
export async function* drawBatches(denoiser: Denoiser, draw: Draw): AsyncGenerator<Drawn> {
  const { plan, settings, end, batchSize, signal, onStep } = draw;
  const { model, codec } = denoiser;
  const { width, height } = sizeOf(model, settings);
  const batches = Math.ceil((end - draw.first) / batchSize);
  for (let number = 0; number < batches; number++) {
    const begin = draw.first + number * batchSize;
    const count = Math.min(batchSize, end - begin);
    const batch = { number, batches, indices: Array.from({ length: count }, (_, i) => begin + i) };
    const drawn = imageNoise(settings.rng, imageSeeds(settings.seed, count, begin), [
      height / codec.factor,
      width / codec.factor,
      codec.channels,
    ]);
    const shown = await draw.beside?.(batch.indices);
    const first = plan.start ?? firstDeviation(plan.levels[0] as Level);
    const prepared = await prepareBeside(
      denoiser,
      { ...draw.given, shown },
      drawn,
      () => startImages(drawn, first),
    ).finally(() => shown?.dispose());
    const { noise, beside, start: initial = startImages(noise, first) } = prepared;
    const x = await run({
      sampler: plan.sampler,
      path: plan.levels,
      process: plan.process,
      start: initial,
      predict: guidedPredict(
        prepared.denoiser,
        { ...conditionsOf(model, settings, batch.indices), beside },
        plan.guidances,
        plan.sampler.plugin.takesShift === true,
      ),
      noise,
      signal,
      onStep: (progress) => onStep?.(progress, batch),
    }).finally(() => {
      initial.dispose();
      beside?.dispose();
    });
    if (draw.releases && codec.factor > 1 && number === batches - 1) {
      await releaseNetworks(denoiser);
    }
    const pixels = await codec.decode(x).finally(() => x.dispose());
    yield { ...batch, bitmaps: toBitmaps(pixels.data, pixels.shape), pixels };
  }
}
