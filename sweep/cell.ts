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
import { cutStrip, framesOf, shrink, stripOf } from "./film.ts";
import type { Cost, Metered } from "./meter.ts";

/** What a cell shows, settled. */
export interface Cell {
  /** A value of each axis, by its name. */
  readonly values: Place["values"];
  readonly model: Model;
  readonly plan: Plan;
  readonly settings: Settings;
}

/** A cell that was drawn. */
export interface Finished {
  /** The images of the cell, as `sample` lays them out. */
  readonly picture: Bitmap;
  /** The same on their way from noise, small; the last one is the result. */
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

/** Where a cell's film is kept, beside its picture. */
const filmOf = (file: string) => file.replace(/\.png$/, "-film.png");

/**
 * The cell as an earlier run kept it; undefined where none did.
 *
 * @throws {SyntaxError} If a file is damaged.
 */
export async function takeUp(file: string): Promise<Finished | undefined> {
  if (!(await exists(file) && await exists(filmOf(file)))) return undefined;
  const { text, ...picture } = decodePng(await Deno.readFile(file), file) ?? {};
  const strip = decodePng(await Deno.readFile(filmOf(file)), filmOf(file));
  const { frames, seconds, calls } = JSON.parse(text?.["sweep"] ?? "{}");
  if (!("pixels" in picture) || !strip || !Number.isInteger(strip.width / frames)) {
    throw new SyntaxError(`Cannot take up "${file}": it is no cell of a sweep; delete it`);
  }
  return { picture, film: cutStrip(strip, frames), cost: { seconds, calls }, file };
}

/**
 * Draws a cell and keeps its picture, with its settings, and its film.
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
  const shown = framesOf(steps);
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
        if (frame) await meter.aside(async () => frame.push(...await bitmapsOf(x, denoiser)));
        onStep?.();
      },
    });
    for await (const { bitmaps } of batches) frames.at(-1)?.push(...bitmaps);
  });
  const pictures = frames.map((images) => makeSheet(images));
  const picture = pictures.at(-1);
  if (picture === undefined) throw new TypeError("Cannot keep a run of no steps");
  const film = pictures.map(shrink);
  const strip = stripOf(film);
  const size = `${edgeOf(model)}x${edgeOf(model)}`;
  const text = {
    ...settingsText(settings, { size, version: config.version }),
    sweep: JSON.stringify({ frames: film.length, seconds, calls }),
  };
  await writeAtomic(filmOf(file), encodePng(strip.pixels, strip));
  await writeAtomic(file, encodePng(picture.pixels, picture, text));
  return { picture, film, cost: { seconds, calls }, file };
}
