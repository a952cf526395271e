/**
 * Sheets of samples drawn while a model is trained, always from the same noise, so that they can be
 * laid side by side.
 *
 * @module
 */
import { join } from "@std/path";
import { eagerEngine } from "../engines/eager.ts";
import type { Engine } from "../engines/engine.ts";
import { writeAtomic } from "../images/atomic.ts";
import type { Bitmap } from "../images/pixels.ts";
import { encodePng } from "../images/png.ts";
import { makeSheet } from "../images/sheet.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { drawBatches } from "../pipeline/draw.ts";
import { openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";

/** Steps of a sheet's sampler: enough to judge a model by. */
const STEPS = 25;

/** Samples of a checkpoint and the classes that they were asked to show. */
export interface CheckpointSamples {
  readonly bitmaps: readonly Bitmap[];
  /** By number; 0 everywhere without classes. */
  readonly labels: Int32Array;
  readonly names: readonly string[];
}

/**
 * Draws from the model folder as it was saved last; the images take the classes in turn.
 *
 * @param trainer the engine of the training; the current tfjs backend where absent.
 */
export async function drawCheckpoint(
  folder: string,
  count: number,
  trainer?: Engine,
  batchSize = count,
): Promise<CheckpointSamples> {
  const model = openModel(folder);
  const guidance = model.nullClass === undefined ? [] : ["cfg,scale=2"];
  const plan = await makePlan(model, { sampler: "ddim", steps: STEPS, guidance });
  const engine = trainer ?? eagerEngine("training", "the backend of the training");
  const bitmaps: Bitmap[] = [];
  try {
    const batches = drawBatches(loadDenoiser(model, engine), {
      plan,
      settings: {
        model: model.name,
        seed: 0,
        count,
        classes: model.labels,
        unconditional: false,
        steps: STEPS,
        sampler: "ddim",
        guidance,
        rng: "philox",
      },
      first: 0,
      end: count,
      batchSize,
    });
    for await (const batch of batches) bitmaps.push(...batch.bitmaps);
  } finally {
    if (trainer === undefined) await engine.dispose();
  }
  const labels = Int32Array.from(bitmaps, (_, i) => i % Math.max(1, model.labels.length));
  return { bitmaps, labels, names: model.labels };
}

/**
 * Draws a sheet from the model folder as it was saved last into `samples/STEP.png` of the folder.
 *
 * @param count images; they take the classes in turn.
 * @param trainer the engine of the training; the current tfjs backend where absent.
 */
export async function saveSheet(
  folder: string,
  step: number,
  count: number,
  trainer?: Engine,
): Promise<void> {
  const { bitmaps } = await drawCheckpoint(folder, count, trainer);
  const sheet = makeSheet(bitmaps, { columns: Math.min(10, count) });
  const path = join(folder, "samples", `${String(step).padStart(6, "0")}.png`);
  await writeAtomic(path, encodePng(sheet.pixels, sheet));
}
