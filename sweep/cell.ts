/**
 * A cell of a sweep: drawn, kept in a file, and taken up again.
 *
 * @module
 */
import { join } from "@std/path";
import { exists } from "@std/fs";
import config from "../deno.json" with { type: "json" };
import { runKey } from "../evaluation/sampled.ts";
import { writeAtomic } from "../images/atomic.ts";
import type { Bitmap } from "../images/pixels.ts";
import { decodePng, encodePng } from "../images/png.ts";
import { makeSheet } from "../images/sheet.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import { bitmapsOf, drawBatches } from "../pipeline/draw.ts";
import { edgeOf, type Model } from "../pipeline/model.ts";
import type { Plan } from "../pipeline/plan.ts";
import { type Settings, settingsText } from "../pipeline/settings.ts";
import type { Place } from "./grid.ts";
import type { Cost, Metered } from "./meter.ts";

/** Pictures of a trajectory that are kept at most. */
const FRAMES = 12;

/** What a cell shows, settled. */
export interface Cell<F extends string = string> extends Place<F> {
  readonly model: Model;
  readonly plan: Plan;
  readonly settings: Settings;
}

/** A cell that was drawn. */
export interface Finished {
  /** The images of the cell in one picture, on their way from noise; the last one is the result. */
  readonly film: readonly Bitmap[];
  readonly cost: Cost;
  /** Where it is kept. */
  readonly file: string;
}

/** How cells are drawn. */
export interface DrawOptions {
  /** The folder that they are kept in. */
  readonly folder: string;
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
  /** After each step of each batch. */
  onStep?(): void;
}

/**
 * A name for all that a cell's images depend on, but their count: a cell of another sweep has it too,
 * where it is the same.
 */
export async function keyOf(
  { plan, settings }: Cell,
  denoiser: Denoiser,
  { batchSize }: Pick<DrawOptions, "batchSize">,
): Promise<string> {
  return `${await runKey(denoiser, { plan, settings, batchSize })}-${config.version}`;
}

/** The cell's file. */
export async function fileOf(
  cell: Cell,
  denoiser: Denoiser,
  options: DrawOptions,
): Promise<string> {
  const key = await keyOf(cell, denoiser, options);
  return join(options.folder, `${key}-${cell.settings.count}.png`);
}

/**
 * The cell as an earlier run kept it; undefined where none did.
 *
 * @throws {SyntaxError} If its file is damaged.
 */
export async function takeUp(file: string): Promise<Finished | undefined> {
  if (!(await exists(file))) return undefined;
  const { text, ...strip } = decodePng(await Deno.readFile(file), file) ?? {};
  const { frames, seconds, calls } = JSON.parse(text?.["sweep"] ?? "{}");
  if (!("pixels" in strip) || !Number.isInteger(strip.width / frames)) {
    throw new SyntaxError(`Cannot take up "${file}": it holds no cell of a sweep; delete it`);
  }
  return { film: cut(strip, frames), cost: { seconds, calls }, file };
}

/**
 * Draws a cell and keeps it as a strip of film with its settings.
 *
 * @throws What `drawBatches()` throws, and the signal's reason; then nothing is kept.
 */
export async function drawCell(
  { model, plan, settings }: Cell,
  denoiser: Denoiser,
  meter: Metered,
  file: string,
  { batchSize, signal, onStep }: DrawOptions,
): Promise<Finished> {
  const steps = plan.levels.length - 1;
  const count = Math.min(FRAMES, steps);
  const shown = Array.from({ length: count }, (_, i) => Math.round((i + 1) * steps / count));
  const frames = shown.map((): Bitmap[] => []);
  const { seconds, calls } = await meter.measure(async () => {
    const batches = drawBatches(denoiser, {
      plan,
      settings,
      first: 0,
      end: settings.count,
      batchSize,
      signal,
      async onStep({ step, x }) {
        const frame = step < steps ? frames[shown.indexOf(step)] : undefined;
        if (frame) await meter.aside(async () => frame.push(...await bitmapsOf(x, model)));
        onStep?.();
      },
    });
    for await (const { bitmaps } of batches) frames.at(-1)?.push(...bitmaps);
  });
  const film = frames.map((images) => makeSheet(images, { padding: 1 }));
  const strip = makeSheet(film, { columns: count, padding: 0 });
  const size = `${edgeOf(model)}x${edgeOf(model)}`;
  const text = {
    ...settingsText(settings, { size, version: config.version }),
    sweep: JSON.stringify({ frames: count, seconds, calls }),
  };
  await writeAtomic(file, encodePng(strip.pixels, strip, text));
  return { film, cost: { seconds, calls }, file };
}

/** The pictures that stand side by side in a strip. */
function cut(strip: Bitmap, frames: number): Bitmap[] {
  const { height, channels } = strip;
  const width = strip.width / frames;
  return Array.from({ length: frames }, (_, frame) => {
    const pixels = new Uint8Array(width * height * channels);
    for (let y = 0; y < height; y++) {
      const start = (y * strip.width + frame * width) * channels;
      pixels.set(strip.pixels.subarray(start, start + width * channels), y * width * channels);
    }
    return { pixels, width, height, channels };
  });
}
