/**
 * Cells of a sweep: settled, listed, drawn and measured.
 *
 * @module
 */
import { openEngine } from "../engines/mod.ts";
import type { Engine } from "../engines/engine.ts";
import type { ChosenFeatures } from "../evaluation/features/mod.ts";
import { OutputError } from "../images/atomic.ts";
import { type Denoiser, loadDenoiser } from "../pipeline/denoiser.ts";
import { type Model, openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";
import { unfollowed } from "../schedules/mod.ts";
import { callsOf } from "../sweep/calls.ts";
import { type Cell, drawCell, type DrawOptions, fileOf, takeUp } from "../sweep/cell.ts";
import type { Place } from "../sweep/grid.ts";
import { measureCell, yardstickOf } from "../sweep/measure.ts";
import { type Metered, metered } from "../sweep/meter.ts";
import type { Outcome } from "../sweep/outcome.ts";
import type { Variable } from "../sweep/typed.ts";
import type { Dataset } from "../training/data/mod.ts";
import { usage } from "./_command.ts";
import { precisionOf } from "./_engine.ts";
import { explain } from "./_errors.ts";
import type { Io } from "./_io.ts";
import { progressBar } from "./_progress.ts";
import { settle } from "./sample.ts";
import type { SweepValues } from "./sweep.ts";

/** The runs of all cells; what does not fit is found before anything is drawn. */
export async function settleCells(
  places: readonly Place<Variable>[],
  flags: SweepValues,
  given: (flag: keyof SweepValues & string) => boolean,
  io: Io,
): Promise<Cell[]> {
  const models = new Map<string, Model>();
  const cells: Cell[] = [];
  for (const place of places) {
    const { model: name = "digits", guidance, sampler, steps, spacing, seed } = place.texts;
    const model = models.get(name) ?? openModel(name);
    if (!models.has(name)) {
      for (const key of unfollowed(model.scheduler)) {
        io.warn(`The scheduler of ${model.name} says ${key}, which is not followed here`);
      }
    }
    models.set(name, model);
    const { unconditional, rng, count } = flags;
    const plan = await usage(() =>
      makePlan(model, {
        sampler,
        guidance: guidance?.split(" + "),
        spacing,
        steps: steps === undefined ? undefined : Number(steps),
      })
    );
    const typed = {
      class: place.texts.class?.split(" + ").join(","),
      count,
      unconditional,
      rng,
      seed,
    };
    const settings = await usage(() => settle(model, plan, typed, given));
    cells.push({ values: place.values, model, plan, settings });
  }
  return cells;
}

/** Prints what a sweep would draw. */
export async function describeCells(
  cells: readonly Cell[],
  flags: SweepValues,
  io: Io,
): Promise<void> {
  const engine = await openEngine("cpu"); // counting is done on one pixel
  const known = new Map<string, number | undefined>();
  const rows = [];
  for (const { values, plan, settings } of cells) {
    const key = JSON.stringify([settings.model, settings.sampler, settings.spacing, plan.levels]);
    if (!known.has(key)) known.set(key, await callsOf(plan));
    const batches = (count: number) => Math.ceil(count / flags["batch-size"]);
    const each = known.get(key);
    const times = batches(flags.count) + (flags.measure ? batches(flags.measure) : 0);
    const calls = each === undefined ? undefined : each * times;
    rows.push({ values, steps: settings.steps, calls, images: flags.count + (flags.measure ?? 0) });
  }
  await engine.dispose();
  const sum = rows.reduce((sum, { calls }) => sum + (calls ?? 0), 0).toLocaleString("en-US");
  const open = rows.some(({ calls }) => calls === undefined) ? ", and those marked ?" : "";
  io.log(`${rows.length} cells, ${sum} calls of the network${open}`);
  if (flags.json) return await io.write(JSON.stringify(rows, null, 2));
  const names = Object.keys(rows[0]?.values ?? {}).filter((name) => name !== "steps");
  const lines = rows.map(({ values, steps, calls, images }) => [
    ...names.map((name) => values[name] ?? ""),
    String(steps),
    String(calls ?? "?"),
    String(images),
  ]);
  const table = [[...names, "steps", "calls", "images"], ...lines];
  const widths = table[0]?.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  await io.write(
    table.map((row) => row.map((text, i) => text.padEnd(widths?.[i] ?? 0)).join("  ").trimEnd())
      .join("\n"),
  );
}

/** What cells are drawn with. */
export interface Studio {
  readonly engine: Engine;
  readonly meter: Metered;
  /** The cells, with the precisions of their models. */
  readonly cells: readonly Cell[];
  /** A model on the engine, loaded once. */
  readonly denoiserOf: (cell: Cell) => Denoiser;
  readonly options: DrawOptions;
}

/**
 * Sets an engine up for cells that are kept in a folder.
 *
 * @throws What a model's precision throws that cannot be had.
 */
export async function studioOf(
  engine: Engine,
  planned: readonly Cell[],
  flags: SweepValues,
  folder: string,
  io: Io,
): Promise<Studio> {
  const meter = metered(engine);
  const denoisers = new Map<Model, Denoiser>();
  const cells: Cell[] = [];
  const precisions = new Map<Model, Awaited<ReturnType<typeof precisionOf>>>();
  for (const cell of planned) {
    const { model, settings } = cell;
    const chosen = precisions.get(model) ?? await precisionOf(model, engine, flags, io);
    precisions.set(model, chosen);
    cells.push({ ...cell, settings: { ...settings, precision: chosen.precision } });
  }
  return {
    engine,
    meter,
    cells,
    denoiserOf({ model }) {
      const denoiser = denoisers.get(model) ??
        loadDenoiser(model, meter.engine, flags["cfg-batch"], precisions.get(model));
      denoisers.set(model, denoiser);
      return denoiser;
    },
    options: { folder, batchSize: flags["batch-size"], signal: io.signal },
  };
}

/**
 * Takes up the cells that are kept, and draws the others. A cell that cannot be drawn is left out.
 *
 * @throws {Error} If none can be drawn; and the signal's reason.
 */
export async function drawCells(
  cells: readonly Cell[],
  outcomes: readonly Outcome[],
  { meter, denoiserOf, options }: Studio,
  io: Io,
): Promise<void> {
  const work = [];
  for (const [i, cell] of cells.entries()) {
    const file = await fileOf(cell, denoiserOf(cell), options);
    const outcome = outcomes[i] ?? {};
    const finished = await takeUp(file);
    if (finished !== undefined) {
      outcome.finished = finished;
      continue;
    }
    const batches = Math.ceil(cell.settings.count / options.batchSize);
    const steps = (cell.plan.levels.length - 1) * batches;
    work.push({ cell, file, outcome, steps, note: `cell ${i + 1} of ${cells.length}` });
  }
  const taken = cells.length - work.length;
  if (taken > 0) io.log(`Took up ${taken} of ${cells.length} cells from ${options.folder}`);
  if (work.length === 0) return;
  const bar = progressBar(io, work.reduce((sum, { steps }) => sum + steps, 0), "step");
  let begun = 0; // the first step of the cell
  let cause: unknown;
  try {
    for (const { cell, file, outcome, steps, note } of work) {
      let done = begun;
      const onStep = () => bar.update(++done, note);
      try {
        const drawing = { ...options, onStep };
        outcome.finished = await drawCell(cell, denoiserOf(cell), meter, file, drawing);
      } catch (error) {
        if (io.signal.aborted || error instanceof OutputError) throw error;
        cause ??= error;
        outcome.failure = explain(error);
        const name = Object.entries(cell.values).map((pair) => pair.join(" ")).join(", ");
        bar.log(`${io.style.yellow("warning:")} Left out ${name}: ${outcome.failure}`);
      }
      begun += steps;
    }
  } finally {
    bar.stop();
  }
  if (cause !== undefined && taken === 0 && work.every(({ outcome }) => outcome.failure)) {
    throw cause;
  }
}

/** What cells are measured against. */
export interface Reference {
  readonly data: Dataset;
  readonly features: ChosenFeatures;
  /** Images that are drawn of each cell. */
  readonly count: number;
}

/** Measures the cells that were drawn. */
export async function measureCells(
  cells: readonly Cell[],
  outcomes: readonly Outcome[],
  { engine, denoiserOf, options }: Studio,
  reference: Reference,
  io: Io,
): Promise<void> {
  const { count, data } = reference;
  const yardstick = await yardstickOf(data, { ...reference, ...options, engine });
  const bar = progressBar(io, cells.length * count, "sample");
  try {
    for (const [i, cell] of cells.entries()) {
      const outcome = outcomes[i];
      if (outcome?.finished === undefined) continue;
      const onShare = (share: number) => bar.update(Math.floor((i + share) * count));
      outcome.measured = await measureCell(cell, denoiserOf(cell), yardstick, options, onShare);
    }
  } finally {
    bar.stop();
    await yardstick.look.extractor.dispose();
  }
}
