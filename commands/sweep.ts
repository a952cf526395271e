import { join } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { openOutput } from "../images/output.ts";
import { statOrNone, writeAtomic } from "../images/atomic.ts";
import { chooseFeatures } from "../evaluation/features/mod.ts";
import { openImages, sizeText } from "../evaluation/images.ts";
import { shapeOf } from "../evaluation/sampled.ts";
import type { Cell } from "../sweep/cell.ts";
import { type Grid, layOut, placesOf } from "../sweep/grid.ts";
import { someOf } from "../sweep/measure.ts";
import { cellJson, noteOf, type Outcome, shownOf, titleOf } from "../sweep/outcome.ts";
import { sweepPage } from "../sweep/page.ts";
import { drawSheet } from "../sweep/sheet.ts";
import { readTyped, type Typed } from "../sweep/typed.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import { engineFlags } from "./_engine_flags.ts";
import { engineOf } from "./_engine.ts";
import type { Io } from "./_io.ts";
import {
  describeCells,
  drawCells,
  measureCells,
  type Reference,
  settleCells,
  studioOf,
} from "./_sweeping.ts";
import sample, { checkScales, details as detailsOf, TAKEN } from "./sample.ts";

/** Images of a cell unless it is said. */
const COUNT = 4;

const VERSION = `denoise ${config.version}`;

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
  "batch-size": { type: "integer", min: 1, default: 16, help: "images computed at once" },
  "cfg-batch": sample.flags["cfg-batch"],
  ...engineFlags,
  precision: sample.flags.precision,
  scales: sample.flags.scales,
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

export type SweepValues = Values<typeof flags>;

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
    const none = { sampler: undefined, guidance: [], spacing: undefined };
    const named = [
      ...(sampler?.plugins ?? []).map((name) => ({ ...none, sampler: name })),
      ...(guidance?.plugins ?? []).map((name) => ({ ...none, guidance: [name] })),
      ...(spacing?.plugins ?? []).map((name) => ({ ...none, spacing: name })),
    ];
    const texts = await Promise.all(named.map((flags) => detailsOf({ flags })));
    return texts.filter((text) => text !== "").join("\n\n");
  },
  async run({ flags, positional, given, io }) {
    checkFlags(flags, given);
    const swept = await usage(() => readTyped(typedOf(flags, positional)));
    const axes = Object.values(swept).flatMap(({ axes }) => axes);
    const grid = await usage(() => layOut(axes, flags));
    const cells = await settleCells(placesOf(grid, swept), flags, given, io);
    if (!flags["dry-run"]) return await sweep(grid, cells, flags, io);
    await describeCells(cells, flags, io);
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
  checkScales(flags);
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

/** Draws, measures and writes; what is made is written also where it ends early. */
async function sweep(
  grid: Grid,
  planned: readonly Cell[],
  flags: SweepValues,
  io: Io,
): Promise<number> {
  const { to, folder } = await placesToWrite(flags);
  const output = await usage(() =>
    openOutput({
      to,
      stem: `sweep-${planned[0]?.model.name}`,
      stdout: flags.json ? TAKEN : undefined,
    })
  );
  await output.prepare();
  const reference = await openReference(planned, flags);
  const outcomes = planned.map((): Outcome => ({}));
  const started = performance.now();
  const engine = await engineOf(flags, io);
  const studio = await studioOf(engine, planned, flags, folder, io).catch(async (error) => {
    await engine.dispose();
    throw error;
  });
  const { cells } = studio;
  try {
    io.detail(`Keeping cells in ${folder}`);
    await drawCells(cells, outcomes, studio, io);
    if (reference !== undefined) await measureCells(cells, outcomes, studio, reference, io);
  } finally {
    await engine.dispose();
    const drawn = outcomes.filter(({ finished }) => finished !== undefined).length;
    const files: string[] = [];
    if (drawn > 0) {
      const shown = { title: titleOf(cells, grid), note: noteOf(cells), grid };
      const pictures = outcomes.map(({ finished }) => finished?.picture);
      const text = { parameters: `${shown.title}. ${shown.note}`, Software: VERSION };
      await output.add(drawSheet({ ...shown, pictures }), 0, text);
      files.push(...await output.finish());
      const page = flags.page ?? files[0]?.replace(/\.png$/i, ".html");
      if (page !== undefined) {
        const measured = reference && measuredText(reference, flags);
        const shownCells = cells.map((cell, i) => shownOf(cell, outcomes[i]));
        await writeAtomic(page, sweepPage({ ...shown, measured, cells: shownCells }));
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

/** What the figures of a page are of. */
function measuredText({ count, data, features }: Reference, { reference }: SweepValues): string {
  const [ours, theirs] = [count, data.length].map((images) => images.toLocaleString("en-US"));
  return `Of ${ours} images a cell, against ${theirs} of ${reference}, seen by ${features.name}. ` +
    "Accuracy and precision are fidelity, recall is diversity.";
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

/** What cells are measured against, where they are. */
async function openReference(
  cells: readonly Cell[],
  { measure, reference, features }: SweepValues,
): Promise<Reference | undefined> {
  if (measure === undefined || reference === undefined) return undefined;
  const chosen = await usage(() => chooseFeatures(features));
  const data = someOf(await usage(() => openImages(reference, {})));
  for (const { model } of cells) {
    const [ours, theirs] = [sizeText(shapeOf(model)), sizeText(data)];
    if (ours === theirs) continue;
    throw new UsageError(
      `Cannot measure ${model.name}, whose images are ${ours}, against ${reference}, whose are ${theirs}`,
    );
  }
  return { data, count: measure, features: chosen };
}
