import { join } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { openOutput } from "../images/output.ts";
import { OutputError, statOrNone, writeAtomic } from "../images/atomic.ts";
import { openEngine } from "../engines/mod.ts";
import { chooseFeatures } from "../evaluation/features/mod.ts";
import { openImages, sizeText } from "../evaluation/images.ts";
import { figuresJson } from "../evaluation/report.ts";
import type { Measured } from "../evaluation/evaluate.ts";
import { shapeOf } from "../evaluation/sampled.ts";
import { type Denoiser, loadDenoiser } from "../pipeline/denoiser.ts";
import { type Model, openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";
import { describeRoute, type Settings } from "../pipeline/settings.ts";
import { unfollowed } from "../schedules/mod.ts";
import { callsOf } from "../sweep/calls.ts";
import { type Cell, drawCell, fileOf, type Finished, takeUp } from "../sweep/cell.ts";
import { type Grid, layOut, placesOf } from "../sweep/grid.ts";
import { measureCell, yardstickOf } from "../sweep/measure.ts";
import { metered } from "../sweep/meter.ts";
import { sweepPage } from "../sweep/page.ts";
import { drawSheet } from "../sweep/sheet.ts";
import { readTyped, type Typed, type Variable } from "../sweep/typed.ts";
import type { Dataset } from "../training/data/mod.ts";
import { parseSpec } from "../plugins/spec.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import { engineOf } from "./_engine.ts";
import { explain } from "./_errors.ts";
import type { Io } from "./_io.ts";
import { progressBar } from "./_progress.ts";
import sample, { details as detailsOf, settle, TAKEN } from "./sample.ts";

/** Images of a cell unless it is said. */
const COUNT = 4;

const measuring = "Measuring";

const flags = {
  guidance: {
    ...sample.flags.guidance,
    help: "guidances to compare, as in none,cfg,scale=1..10; 'cfg,scale=2 + rescale' is a sequence",
  },
  sampler: {
    type: "list",
    value: "NAME|FILE",
    complete: "sampler",
    help: "samplers to compare, as in ddim,ddpm,variance=small,large",
  },
  steps: { type: "list", value: "N,…", help: "numbers of steps to compare, as in 10,25,50" },
  spacing: {
    type: "list",
    value: "RULE",
    complete: "spacing",
    help: "paths to compare, as in trailing,karras,rho=5,7",
  },
  class: {
    type: "list",
    value: "NAME,…",
    help: "classes to compare, as in 0..9; '3 + 8' shows both in each cell; else all in turn",
  },
  seed: {
    type: "list",
    value: "N,…",
    default: ["0"],
    help: "seeds to compare; the images of a cell have the seed, the next one, and so on",
  },
  across: {
    type: "string",
    value: "AXIS",
    help: "what varies from left to right, such as scale or steps; the longest axis without it",
  },
  down: { type: "string", value: "AXIS", help: "what varies from top to bottom; the next longest" },
  count: { type: "integer", alias: "n", min: 1, default: COUNT, help: "images in a cell" },
  unconditional: sample.flags.unconditional,
  rng: sample.flags.rng,
  "batch-size": sample.flags["batch-size"],
  "cfg-batch": sample.flags["cfg-batch"],
  engine: sample.flags.engine,
  provider: sample.flags.provider,
  threads: sample.flags.threads,
  measure: {
    type: "integer",
    value: "N",
    min: 2,
    help: "also draw N images of each cell, and measure and plot accuracy, recall and FID",
    group: measuring,
  },
  reference: {
    type: "string",
    alias: "r",
    value: "DATA",
    complete: "folder",
    help: "what images should be like: mnist, or a file or folder of images",
    group: measuring,
  },
  features: {
    type: "string",
    default: "digits",
    value: "NAME|FILE",
    complete: "file",
    help: "what sees the images, as for evaluate",
    group: measuring,
  },
  output: {
    type: "string",
    alias: "o",
    value: "FILE",
    complete: "file",
    help: "the sheet: file.png, folder/ or - for stdout; a pipe, or a new file, without it",
    group: "Output",
  },
  page: {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "the HTML page; beside the sheet, with its name, without it",
    group: "Output",
  },
  cells: {
    type: "string",
    value: "FOLDER",
    complete: "folder",
    help: "where cells are kept, and taken up again; runs/sweep, or cells/ in the folder of -o",
    group: "Output",
  },
  json: { type: "flag", help: "print the cells and their figures as JSON", group: "Output" },
  "dry-run": {
    type: "flag",
    help: "print the cells and their calls of the network, and draw nothing",
    group: "Output",
  },
} as const;

type SweepValues = Values<typeof flags>;

export default command({
  name: "sweep",
  summary: "compares samplers, guidances and steps on one labelled sheet and a page",
  usage: "[MODEL...]",
  description:
    "Draws the same seeds with every choice of what is listed, and lays the cells out on a sheet, " +
    "and on an HTML page that plays their trajectories. Several models are compared, too. 1..10/3 " +
    "is 1, 4, 7, 10. An option with several values is an axis: cfg,scale=1..5,from=0,0.5 has two. " +
    "Cells are kept: the same command continues after Ctrl-C, and a larger sweep takes them up.",
  examples: [
    [
      "sweep --guidance cfg,scale=1..10 --sampler ddim,ddpm --steps 10,25,50 -o sheet.png",
      "sixty cells, a block for each sampler",
    ],
    ["sweep --class 0..9 --guidance cfg,scale=1..5 -n 1 -o out/", "one image a cell"],
    ["sweep runs/a runs/b --seed 0..3 -n 9 -o models.png", "two models"],
    [
      "sweep --guidance cfg,scale=0..4/0.5 --measure 500 -r mnist -o measured.png",
      "fidelity against diversity",
    ],
    ["sweep --spacing karras,rho=3,5,7 --steps 5..20/5 --dry-run", "what it would take"],
  ],
  flags,
  async details({ flags, positional }) {
    const { sampler, guidance, spacing } = await readTyped(typedOf(flags, positional));
    const named = (swept: typeof sampler, split: RegExp | string = "\n") => {
      const texts = swept?.axes.length === 1 ? swept.axes[0]?.values ?? [] : [];
      const first = swept?.text(swept.axes.map(({ values }) => values[0] ?? "")) ?? "";
      const all = [first, ...texts.filter((text) => Number.isNaN(Number(text)))];
      const names = all.flatMap((text) => text.split(split)).filter((text) => text !== "")
        .map((text) => parseSpec(text).name);
      return [...new Set(names)];
    };
    const parts = [
      ...named(sampler).map((name) => ({ sampler: name, guidance: [], spacing: undefined })),
      { sampler: undefined, guidance: named(guidance, / \+ /), spacing: undefined },
      ...named(spacing).map((name) => ({ sampler: undefined, guidance: [], spacing: name })),
    ];
    return (await Promise.all(parts.map((flags) => detailsOf({ flags }))))
      .filter((text) => text !== "").join("\n\n");
  },
  async run({ flags, positional, given, io }) {
    checkFlags(flags, given);
    const swept = await usage(() => readTyped(typedOf(flags, positional)));
    const axes = Object.values(swept).flatMap(({ axes }) => axes);
    const grid = await usage(() => layOut(axes, flags));
    const cells = await settleCells(placesOf(grid, swept), flags, given, io);
    if (flags["dry-run"]) await describe(cells, flags, io);
    else return await sweep(grid, cells, flags, io);
    return 0;
  },
});

/** What was typed of all that can vary. */
function typedOf(flags: SweepValues, models: readonly string[]): Typed {
  const { guidance, sampler, steps, spacing, class: classes, seed } = flags;
  const model = models.length > 0 ? models : ["digits"];
  return { model, guidance, sampler, spacing, steps, class: classes, seed };
}

function checkFlags(
  flags: SweepValues,
  given: (flag: keyof SweepValues & string) => boolean,
): void {
  if (flags.json && flags.output === "-") {
    throw new UsageError("Cannot write the sheet and --json to stdout: give -o a file or a folder");
  }
  if (flags.measure === undefined) {
    const unused = (["reference", "features"] as const).find((flag) => given(flag));
    if (unused !== undefined) throw new UsageError(`Cannot use --${unused} without --measure`);
  } else if (flags.reference === undefined) {
    throw new UsageError(
      "Cannot measure without --reference: name data such as mnist, or a file of images",
    );
  }
}

/** The runs of all cells; what does not fit is found before anything is drawn. */
async function settleCells(
  places: ReturnType<typeof placesOf<Variable>>,
  flags: SweepValues,
  given: (flag: keyof SweepValues & string) => boolean,
  io: Io,
): Promise<Cell<Variable>[]> {
  const models = new Map<string, Model>();
  const cells: Cell<Variable>[] = [];
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
    cells.push({
      ...place,
      model,
      plan,
      settings: await usage(() => settle(model, plan, typed, given)),
    });
  }
  return cells;
}

/** Prints what a sweep would draw. */
async function describe(cells: readonly Cell[], flags: SweepValues, io: Io): Promise<void> {
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

/** What has become of a cell. */
interface Outcome {
  finished?: Finished;
  failure?: string;
  measured?: Measured;
}

/** Draws, measures and writes; what is made is written also where it ends early. */
async function sweep(
  grid: Grid,
  cells: readonly Cell[],
  flags: SweepValues,
  io: Io,
): Promise<number> {
  const { to, folder } = await placesToWrite(flags);
  const output = await usage(() =>
    openOutput({
      to,
      stem: `sweep-${cells[0]?.model.name}`,
      stdout: flags.json ? TAKEN : undefined,
    })
  );
  await output.prepare();
  const reference = await openReference(cells, flags);
  const outcomes = cells.map((): Outcome => ({}));
  const started = performance.now();
  const engine = await engineOf(flags, io);
  try {
    await fillIn(cells, outcomes, { engine, folder, reference }, flags, io);
  } finally {
    await engine.dispose();
    const drawn = outcomes.filter(({ finished }) => finished !== undefined).length;
    const files: string[] = [];
    if (drawn > 0) {
      const note = noteOf(cells, flags);
      const sheet = drawSheet({
        title: titleOf(cells, grid),
        note,
        grid,
        pictures: outcomes.map(({ finished }) => finished?.film.at(-1)),
      });
      await output.add(sheet, 0, { parameters: note, Software: `denoise ${config.version}` });
      files.push(...await output.finish());
      const page = flags.page ?? files[0]?.replace(/\.png$/i, ".html");
      if (page !== undefined) {
        await writeAtomic(page, pageOf(grid, cells, outcomes, flags));
        files.push(page);
      }
    }
    const seconds = (performance.now() - started) / 1000;
    io.detail(`${drawn} of ${cells.length} cells in ${seconds.toFixed(1)} s`);
    if (files.length > 0) {
      io.log(`Wrote ${files.join(" and ")} (${drawn} of ${cells.length} cells)`);
    }
    if (flags.json) {
      const { across, down, blocks } = grid;
      const axes = { across: across.name, down: down.name, blocks: blocks.map(({ name }) => name) };
      const record = { axes, cells: cells.map((cell, i) => cellJson(cell, outcomes[i])), files };
      await io.write(JSON.stringify({ ...record, seconds }, null, 2));
    }
  }
  return outcomes.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

/** Where the sheet goes, and where cells are kept. */
async function placesToWrite(
  { output, cells }: SweepValues,
): Promise<{ readonly to: string | undefined; readonly folder: string }> {
  const isFolder = output !== undefined && output !== "" && output !== "-" &&
    (/[/\\]$/.test(output) || (await statOrNone(output))?.isDirectory === true);
  if (isFolder) {
    return { to: join(output, "sheet.png"), folder: cells ?? join(output, "cells") };
  }
  return { to: output, folder: cells ?? join("runs", "sweep") };
}

async function openReference(
  cells: readonly Cell[],
  { measure, reference, features }: SweepValues,
): Promise<{ data: Dataset; count: number; features: string } | undefined> {
  if (measure === undefined || reference === undefined) return undefined;
  const data = await usage(() => openImages(reference, {}));
  for (const { model } of cells) {
    const [ours, theirs] = [sizeText(shapeOf(model)), sizeText(data)];
    if (ours === theirs) continue;
    throw new UsageError(
      `Cannot measure ${model.name}, whose images are ${ours}, against ${reference}, whose are ${theirs}`,
    );
  }
  return { data, count: measure, features };
}

/** Draws the cells that are not kept yet, then measures all. */
async function fillIn(
  cells: readonly Cell[],
  outcomes: readonly Outcome[],
  { engine, folder, reference }: {
    readonly engine: Awaited<ReturnType<typeof engineOf>>;
    readonly folder: string;
    readonly reference: Awaited<ReturnType<typeof openReference>>;
  },
  flags: SweepValues,
  io: Io,
): Promise<void> {
  const meter = metered(engine);
  const denoisers = new Map<Model, Denoiser>();
  const denoiserOf = ({ model }: Cell) => {
    const denoiser = denoisers.get(model) ??
      loadDenoiser(model, meter.engine, flags["cfg-batch"]);
    denoisers.set(model, denoiser);
    return denoiser;
  };
  const options = { folder, batchSize: flags["batch-size"], signal: io.signal };
  const work = [];
  for (const [i, cell] of cells.entries()) {
    const file = await fileOf(cell, denoiserOf(cell), options);
    const outcome = outcomes[i] ?? {};
    const finished = await takeUp(file);
    if (finished === undefined) work.push({ cell, file, outcome, number: i + 1 });
    else outcome.finished = finished;
  }
  const taken = cells.length - work.length;
  if (taken > 0) io.log(`Took up ${taken} of ${cells.length} cells from ${folder}`);
  const batches = Math.ceil(flags.count / options.batchSize);
  const total = work.reduce((sum, { cell }) => sum + (cell.plan.levels.length - 1) * batches, 0);
  const bar = progressBar(io, total, "step");
  try {
    let [done, before] = [0, 0];
    for (const { cell, file, outcome, number } of work) {
      const onStep = () => bar.update(++done, `cell ${number} of ${cells.length}`);
      try {
        outcome.finished = await drawCell(cell, denoiserOf(cell), meter, file, {
          ...options,
          onStep,
        });
      } catch (error) {
        if (io.signal.aborted || error instanceof OutputError) throw error;
        outcome.failure = explain(error);
        const name = Object.entries(cell.values).map((pair) => pair.join(" ")).join(", ");
        bar.log(`${io.style.yellow("warning:")} Left out ${name}: ${outcome.failure}`);
      }
      done = before += (cell.plan.levels.length - 1) * batches;
    }
  } finally {
    bar.stop();
  }
  if (reference === undefined) return;
  const features = await usage(() => chooseFeatures(reference.features));
  const measures = { ...reference, ...options, features, engine };
  const yardstick = await yardstickOf(reference.data, measures);
  const second = progressBar(io, cells.length * reference.count, "sample");
  try {
    for (const [i, cell] of cells.entries()) {
      const outcome = outcomes[i];
      if (outcome?.finished === undefined) continue;
      outcome.measured = await measureCell(
        cell,
        denoiserOf(cell),
        yardstick,
        options,
        (share) => second.update(Math.floor((i + share) * reference.count)),
      );
    }
  } finally {
    second.stop();
    await yardstick.look.extractor.dispose();
  }
}

/** Rows that say how a cell is made. */
function aboutOf(
  { model, settings }: { readonly model: Model; readonly settings: Settings },
): [string, string][] {
  return [
    ["Model", model.name],
    ["Sampler", settings.sampler],
    ["Guidance", settings.guidance.join(" + ")],
    ["Path", describeRoute(settings)],
    ["Steps", String(settings.steps)],
    ["Class", settings.classes.slice(0, settings.count).join(" ") || "none"],
    ["Seed", String(settings.seed)],
    ["Noise", settings.rng],
  ];
}

/** What is the same in all cells. */
function noteOf(cells: readonly Cell[], { count }: SweepValues): string {
  const [first = [], ...rest] = cells.map(aboutOf);
  const same = first.filter(([name, value], i) =>
    name !== "Model" && rest.every((about) => about[i]?.[1] === value)
  );
  const images = `${count} ${count === 1 ? "image" : "images"} a cell`;
  return [images, ...same.map(([name, value]) => `${name.toLowerCase()} ${value}`)].join(" · ");
}

function titleOf(cells: readonly Cell[], { across, down, blocks }: Grid): string {
  const names = [across, down, ...blocks].map(({ name }) => name);
  const models = new Set(cells.map(({ model }) => model.name));
  return `${[...models].join(" and ")} by ${names.filter((name) => name !== "").join(", ")}`;
}

function pageOf(
  grid: Grid,
  cells: readonly Cell[],
  outcomes: readonly Outcome[],
  flags: SweepValues,
): string {
  const measured = outcomes.some((outcome) => outcome.measured !== undefined);
  return sweepPage({
    title: titleOf(cells, grid),
    note: noteOf(cells, flags),
    grid,
    measured: measured
      ? `Of ${
        flags.measure?.toLocaleString("en-US")
      } images a cell, against ${flags.reference}, seen by ${flags.features}. Fidelity is read in accuracy and precision, diversity in recall.`
      : undefined,
    cells: cells.map((cell, i) => {
      const { finished, failure, measured } = outcomes[i] ?? {};
      const cost = finished?.cost;
      return {
        values: cell.values,
        about: [
          ...cost === undefined ? [] : [
            ["Time", `${cost.seconds.toFixed(2)} s`] as const,
            ["Calls", `${cost.calls} of the network`] as const,
          ],
          ...aboutOf(cell),
          ...finished === undefined ? [] : [["File", finished.file] as const],
        ],
        film: finished?.film,
        missing: failure,
        figures: measured?.figures,
      };
    }),
  });
}

function cellJson(cell: Cell, outcome: Outcome = {}): Record<string, unknown> {
  const { finished, failure, measured } = outcome;
  return {
    values: cell.values,
    settings: { ...cell.settings, seed: String(cell.settings.seed) },
    ...finished?.cost,
    file: finished?.file,
    failure,
    ...measured && figuresJson(measured),
  };
}
