/**
 * Draws the images of a run, batch by batch.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Edit } from "../editing/edit.ts";
import { type Bitmap, toBitmaps } from "../images/pixels.ts";
import { type ImageNoise, imageNoise, imageSeeds } from "../noise/mod.ts";
import type { Images, Level } from "../plugin.ts";
import { type Given, prepareBeside } from "./beside.ts";
import { type Denoiser, guidedPredict, releaseNetworks } from "./denoiser.ts";
import type { Codec, Pixels } from "./codec.ts";
import type { Plan } from "./plan.ts";
import { type Progress, run, startDeviation } from "./run.ts";
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
  /** What it begins with and keeps, where that is not noise alone. */
  readonly edit?: Edit | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What else of them it is shown. */
  readonly given?: Omit<Given, "shown"> | undefined;
  /** Whether networks are freed before the last latents become pixels: they are not needed again. */
  readonly releases?: boolean | undefined;
  /** After each step of each batch. */
  onStep?(progress: Progress, batch: Batch): void | Promise<void>;
  /** After each step of what is drawn before and behind x. */
  onStepAround?(progress: Progress, batch: Batch): void | Promise<void>;
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

/** The images that a run starts with: noise alone, unless it edits. */
function startImages(
  noise: ImageNoise,
  { plan, settings, edit }: Draw,
  indices: readonly number[],
  clean: Float32Array | undefined,
): Images {
  const level = plan.levels[0] as Level; // a plan has two at least
  const deviation = plan.start ?? startDeviation(level);
  return edit?.begin({ noise, rng: settings.rng, indices, level, deviation, clean }) ??
    tf.tidy(() => tf.mul(tf.tensor4d(noise.draw(), [...noise.shape]), deviation));
}

/** The latents of a picture, drawn anew for each image of a batch, as diffusers does. */
async function encodePicture(
  codec: Codec,
  { data, shape }: Pixels,
  noise: ImageNoise,
): Promise<Float32Array> {
  const pictures: Images = tf.tidy(() =>
    tf.tile(tf.tensor4d(data, [...shape] as [number, number, number, number]), [
      noise.shape[0],
      1,
      1,
      1,
    ])
  );
  const latents = await codec.encode(pictures, () => tf.tensor4d(noise.draw(), [...noise.shape]));
  const values = await latents.data() as Float32Array;
  tf.dispose([pictures, latents]);
  return values;
}

/**
 * Draws a part of a run. An image depends on its own seed and label only, not on its batch.
 *
 * @throws What {@linkcode run} throws, and the reason of an aborted signal.
 */
export async function* drawBatches(denoiser: Denoiser, draw: Draw): AsyncGenerator<Drawn> {
  const { plan, settings, end, batchSize, edit, signal, onStep, onStepAround } = draw;
  const { model, codec } = denoiser;
  const { width, height } = sizeOf(model, settings);
  const batches = Math.ceil((end - draw.first) / batchSize);
  for (let number = 0; number < batches; number++) {
    const begin = draw.first + number * batchSize;
    const count = Math.min(batchSize, end - begin);
    const batch = { number, batches, indices: Array.from({ length: count }, (_, i) => begin + i) };
    const last = draw.releases === true && number === batches - 1;
    const conditions = conditionsOf(model, settings, batch.indices);
    const unseen = imageNoise(settings.rng, imageSeeds(settings.seed, count, begin), [
      height / codec.factor,
      width / codec.factor,
      codec.channels,
    ]);
    const drawing = {
      plan,
      signal,
      onStep: (progress: Progress) => onStepAround?.(progress, batch),
    };
    const told = await denoiser.before?.(denoiser, conditions, { ...drawing, noise: unseen });
    if (last) await denoiser.prior?.release();
    const { noise: drawn } = told ?? { noise: unseen };
    const shown = await draw.beside?.(batch.indices);
    const clean = edit?.picture && codec.factor > 1
      ? await encodePicture(codec, edit.picture, drawn)
      : undefined;
    const begun = () => startImages(drawn, draw, batch.indices, clean);
    const asked = told?.denoiser ?? denoiser;
    const prepared = await prepareBeside(asked, { ...draw.given, shown }, drawn, begun)
      .finally(() => shown?.dispose());
    const { noise, beside, start: initial = startImages(noise, draw, batch.indices, clean) } =
      prepared;
    const x = await run({
      sampler: edit?.around?.(plan.sampler, { shape: noise.shape, clean }) ?? plan.sampler,
      path: plan.levels,
      process: plan.process,
      start: initial,
      predict: guidedPredict(
        prepared.denoiser,
        { ...conditions, beside },
        plan.guidances,
        plan.sampler.plugin.takesShift === true,
      ),
      noise,
      signal,
      onStep: (progress) => onStep?.(progress, batch),
    }).finally(() => {
      initial.dispose();
      beside?.dispose();
      told?.embeddings.dispose();
    });
    if (last && codec.factor > 1) await releaseNetworks(denoiser);
    const pixels = await codec.decode(x, { ...drawing, noise }).finally(() => x.dispose());
    const bitmaps = toBitmaps(pixels.data, pixels.shape);
    yield { ...batch, bitmaps: edit?.finish ? bitmaps.map(edit.finish) : bitmaps, pixels };
  }
}
