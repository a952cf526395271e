import { basename, extname, resolve } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { openEdit, settleEdit, type Target } from "../editing/edit.ts";
import { readNoise } from "../editing/noise_file.ts";
import { encodeApng } from "../images/apng.ts";
import { writeAtomic } from "../images/atomic.ts";
import { openOutput } from "../images/output.ts";
import type { Bitmap } from "../images/pixels.ts";
import { readPngText } from "../images/png.ts";
import { makeSheet } from "../images/sheet.ts";
import { chooseProtocol, drawPicture } from "../images/terminal.ts";
import type { Batch, Draw } from "../pipeline/draw.ts";
import { parseArguments } from "../models/openai_arguments.ts";
import { besideOf } from "../pipeline/beside.ts";
import { lowResOf } from "../pipeline/low_res.ts";
import { channelsOf, factorOf, type Model, openModel, pixelChannels } from "../pipeline/model.ts";
import { makePlan, namesCode, type Plan, specOf, type Wishes } from "../pipeline/plan.ts";
import {
  describeRoute,
  findClass,
  parseSettings,
  type Settings,
  settingsOfImage,
  settingsText,
  shardOf,
  sizeOf,
  splitClasses,
} from "../pipeline/settings.ts";
import type { Seed } from "../noise/mod.ts";
import type { Level } from "../plugin.ts";
import { readNumber } from "../plugins/number.ts";
import { describeOption, type Kind } from "../plugins/options.ts";
import { parseSpec } from "../plugins/spec.ts";
import { PRECISIONS } from "../quantization/names.ts";
import { ends, familyOf, findRule, isRespacing, processOf, unfollowed } from "../schedules/mod.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import { engineFlags } from "./_engine_flags.ts";
import { fileFlags, openOptions, repeatedOptions } from "./_file_flags.ts";
import { editFlags, editWishes } from "./_editing.ts";
import { table } from "./_help.ts";
import { env, type Io } from "./_io.ts";
import { givenFlags, givenOf } from "./_given.ts";
import { fetchModel, hubFlags, revised } from "./_hub.ts";
import { promptFlags, promptsOf, readPrompts, type Wanted, warnOfCuts } from "./_prompts.ts";
import { rng, seedOf } from "./_noise.ts";
import { type Progress, progressBar } from "./_progress.ts";
import { unclipFlags, unclipWishes } from "./_unclip.ts";

const flags = {
  count: { type: "integer", alias: "n", min: 1, help: "images; one of each class without it" },
  class: {
    type: "string",
    value: "NAME,…",
    help: "classes given to the images in turn; none for the null class; 3:0.7,8:0.3 mixes",
  },
  steps: { type: "integer", min: 1, help: "levels on the way from noise to image" },
  sampler: {
    type: "string",
    value: "NAME|FILE",
    complete: "sampler",
    help: "a sampler with its options, as in ddim,eta=0.5 or ./mine.ts,strength=2",
  },
  guidance: {
    type: "list",
    value: "NAME|FILE",
    complete: "guidance",
    help: "a guidance with its options, as in cfg,scale=2; repeatable, applied in order; or none",
  },
  "low-res": {
    type: "string",
    value: "IMAGE|FOLDER",
    complete: "file",
    help: "the images that an upsampler enlarges, in turn",
  },
  unconditional: {
    type: "flag",
    help: "the network predicts without the class, which then steers guidance alone",
  },
  seed: { type: "string", value: "N", help: "of the first image, image i has N + i; else random" },
  rng,
  spacing: {
    type: "string",
    value: "RULE",
    complete: "spacing",
    help: "how the steps are spread over the noise levels, as in trailing, karras,rho=5 or ddim25",
  },
  timesteps: { type: "string", value: "T,…", help: "training timesteps to visit, falling" },
  sigmas: {
    type: "string",
    value: "SIGMA,…",
    help:
      "noise levels to visit, falling; the last is where it ends; with --steps, stretched to them",
  },
  width: { type: "integer", min: 1, help: "of the images in pixels; the model's own without it" },
  height: { type: "integer", min: 1, help: "of the images in pixels; the model's own without it" },
  ...promptFlags,
  ...givenFlags,
  ...unclipFlags,
  "batch-size": {
    type: "integer",
    min: 1,
    help: "images computed at once; 16 without it, 1 of unCLIP and of models that work on latents",
  },
  tile: {
    type: "integer",
    min: 1,
    value: "PIXELS",
    help: "make pixels of latents in tiles of this edge, for less memory; whole without it",
  },
  "cfg-batch": {
    type: "string",
    choices: ["together", "sequential"],
    default: "together",
    help: "labelled and unlabelled half of guidance in one call, or in two for less memory",
  },
  shard: { type: "string", value: "I/N", help: "draw only the I-th of N parts of the run" },
  ...engineFlags,
  precision: {
    type: "string",
    choices: PRECISIONS,
    default: "auto",
    help: "auto: int8 where the model has scales of quantize and the CPU is fast with bytes; " +
      "q8_0, q4_0: weights in 8 or 4 bits, for less memory",
  },
  scales: {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "scales of quantize for int8; those beside the model's weights without it",
  },
  output: {
    type: "string",
    alias: "o",
    value: "FILE",
    complete: "file",
    help: "file.png, folder/ or - for stdout; a pipe, or a new file, without it",
    group: "Output",
  },
  separate: {
    type: "flag",
    help: "one PNG an image instead of a sheet, one after another on a pipe",
    group: "Output",
  },
  columns: { type: "integer", min: 1, help: "images in a row of a sheet", group: "Output" },
  trajectory: {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "also write the run as an animated PNG",
    group: "Output",
  },
  preview: {
    type: "integer",
    min: 1,
    value: "N",
    help: "show the images in the terminal every N steps",
    group: "Output",
  },
  json: { type: "flag", help: "print the settings and files as JSON on stdout", group: "Output" },
  "dry-run": {
    type: "flag",
    help: "print t, alpha and sigma of each step, and draw nothing",
    group: "Output",
  },
  ...fileFlags,
  ...hubFlags,
  offline: {
    type: "flag",
    help: "download nothing: a model of the hub must be in the cache",
    group: "Hub",
  },
  from: {
    type: "string",
    value: "IMAGE",
    complete: "file",
    help: "repeat the settings in a PNG; other flags change them",
  },
  ...editFlags,
} as const;

type SampleValues = Values<typeof flags>;

export default command({
  name: "sample",
  summary: "draws images from a model",
  usage: "[MODEL]",
  description:
    "Draws images and writes them as PNG. MODEL is a bundled name (digits without it), a model " +
    "folder in the layout of diffusers, a checkpoint of OpenAI's, or OWNER/NAME on the hub, which is " +
    "downloaded once. stdout carries image bytes alone, so it can be piped. " +
    "The settings are kept in the PNG: `metadata` prints them, `--from` repeats them.",
  examples: [
    ["sample -o digits.png", "one of each digit"],
    ["sample --class 7 | display", "a seven, in another program"],
    ["sample -n 16 --class 3 --guidance cfg,scale=4 --seed 1 -o threes.png", "strong guidance"],
    ["sample -n 64 --separate -o out/ --shard 1/2", "half of a run, as numbered files"],
    [
      "sample 256x256_diffusion.pt --classifier 256x256_classifier.pt --class 388 -o panda.png",
      "OpenAI's files",
    ],
    [
      "sample 64_256_upsampler.pt --low-res small.png --class 388 -o large.png",
      "four times as large",
    ],
    ["sample --sampler ./mine.ts,strength=2 -o mine.png", "a sampler of your own"],
    ["sample --init seven.png --strength 0.6 --class 2 -o two.png", "a picture made another"],
    ["sample --init seven.png --mask mask.png --inpaint repaint,jump=5 -o new.png", "a part anew"],
  ],
  flags,
  details,
  async run({ flags, positional: [name], given, io }) {
    const repeated = flags.from !== undefined
      ? await readSettings(flags.from)
      : flags.noise === undefined
      ? undefined
      : await usage(() => settingsOfNoise(flags.noise ?? ""));
    if (flags.shard !== undefined && flags.seed === undefined && repeated === undefined) {
      throw new UsageError("Cannot split a run without --seed: every part would draw another one");
    }
    checkOutputs(flags);
    if (repeated !== undefined) {
      const file = flags.from ?? flags.noise ?? "";
      if (!given("sampler")) refuseCode(file, "sampler", [repeated.sampler]);
      if (!given("guidance")) refuseCode(file, "guidance", repeated.guidance);
    }
    const spec = name === undefined ? undefined : revised(name, flags.revision);
    const path = spec ?? repeated?.model ?? "digits";
    const opening = repeatedOptions(path, openOptions(flags), repeated);
    const { modelFlags, classifier, variant } = opening;
    // Never because a PNG names it.
    if (spec !== undefined) await fetchModel(spec, { ...flags, variant }, io);
    const model = await usage(() => openModel(path, opening));
    if (modelFlags !== undefined) {
      const { ignored } = parseArguments(modelFlags);
      if (ignored.length > 0) io.warn(`These model flags change no image: ${ignored.join(", ")}`);
    }
    processOf(model.scheduler); // a fault of the model, not of what was typed
    for (const key of unfollowed(model.scheduler)) {
      io.warn(`The scheduler of ${model.name} says ${key}, which is not followed here`);
    }
    const wanted = await promptsOf(model, flags, repeated);
    const seed = await usage(() => seedIn(flags, repeated));
    const opened = await usage(() => {
      const wishes = editWishes(editable(model, flags), seed, repeated?.edit);
      return wishes && openEdit(settleEdit(wishes), targetOf(model, flags, repeated), io.log);
    });
    const plan = await usage(() =>
      makePlan(model, {
        sampler: flags.sampler ?? repeated?.sampler,
        guidance: given("guidance") ? flags.guidance : repeated?.guidance,
        ...pathWishes(flags, repeated),
        ...unclipWishes(model, flags, repeated),
        edit: opened?.settings,
      })
    );
    if (classifier !== undefined && !plan.guidances.some(asksClassifier)) {
      throw new UsageError("Cannot use --classifier by itself: add --guidance classifier");
    }
    const small = flags["low-res"] ?? repeated?.lowRes;
    const lowRes = small === undefined ? undefined : await lowResOf(small, model);
    if (lowRes === undefined && besideOf(model) === "small") {
      throw new UsageError(`Cannot draw with ${model.name} alone: give it images with --low-res`);
    }
    const shown = await givenOf(model, flags, repeated);
    const settled = await usage(() =>
      settle(
        model,
        plan,
        {
          ...flags,
          ...lowRes?.size,
          ...opening,
          noiseLevel: shown.noiseLevel,
          seed: String(seed),
        },
        given,
        repeated,
        { ...wanted, images: lowRes?.count },
      )
    );
    const settings = opened === undefined ? settled : { ...settled, edit: opened.settings };
    if (flags["dry-run"]) {
      io.log(`${settings.sampler} along ${describeRoute(settings)}`);
      await io.write(flags.json ? JSON.stringify(plan.levels) : describePath(plan.levels));
      return 0;
    }
    const precision = given("precision")
      ? flags.precision
      : repeated?.precision ?? (repeated ? "f32" : flags.precision);
    checkScales({ precision, scales: flags.scales });
    const { given: more, beside = lowRes?.beside } = shown;
    const drawn = { wanted, given: more, beside, edit: opened?.edit };
    await draw(model, plan, settings, { ...flags, precision }, drawn, io);
    return 0;
  },
});

const asksClassifier = ({ plugin }: Plan["guidances"][number]) =>
  plugin.needs?.includes("classifier") === true;

/** The options of the plugins that were named, for help. */
export async function details(
  { flags: { sampler, guidance, spacing } }: {
    readonly flags: Pick<SampleValues, "sampler" | "guidance" | "spacing">;
  },
): Promise<string> {
  const { choosePlugin } = await import("../plugins/load.ts");
  const { samplers } = await import("../samplers/mod.ts");
  const { guidances } = await import("../guidance/mod.ts");
  const chosen = [];
  if (sampler !== undefined) {
    chosen.push((await choosePlugin("sampler", sampler, samplers)).plugin);
  }
  for (const spec of guidance) {
    if (spec !== "none") chosen.push((await choosePlugin("guidance", spec, guidances)).plugin);
  }
  if (spacing !== undefined && !isRespacing(spacing)) {
    const { options, ...rule } = findRule(parseSpec(spacing).name);
    chosen.push({ ...rule, options: { ...options, ...ends } });
  }
  return chosen.map(({ name, summary, options }) => {
    const rows = Object.entries(options).map(([key, option]) => {
      const row = describeOption(key, option);
      return [row.name, row.help] as const;
    });
    return `Options of ${name} (${summary}):\n${rows.length === 0 ? "  none" : table(rows)}`;
  }).join("\n\n");
}

/** Refuses outputs that would meet in one place. */
function checkOutputs({ json, output, trajectory }: SampleValues): void {
  if (json && output === "-") {
    throw new UsageError("Cannot write images and --json to stdout: give -o a file or a folder");
  }
  if (trajectory === undefined) return;
  if (extname(trajectory).toLowerCase() !== ".png") {
    throw new UsageError(`Cannot write ${trajectory}: --trajectory needs a name in .png`);
  }
  if (output !== undefined && resolve(output) === resolve(trajectory)) {
    throw new UsageError(`Cannot write both the images and their trajectory to ${trajectory}`);
  }
}

/** Refuses scales that would not be used. */
export function checkScales({ precision, scales }: Pick<SampleValues, "precision" | "scales">) {
  if (scales === undefined || precision === "auto" || precision === "int8") return;
  throw new UsageError(`Cannot use --scales with precision ${precision}: scales are for int8`);
}

/** The path that was typed, else the one that is repeated. */
export function pathWishes(
  { steps, spacing, timesteps, sigmas }: Pick<
    SampleValues,
    "steps" | "spacing" | "timesteps" | "sigmas"
  >,
  repeated?: Settings,
): Pick<Wishes, "steps" | "spacing" | "timesteps" | "sigmas"> {
  const typed = {
    spacing,
    timesteps: timesteps === undefined ? undefined : numbersOf("timesteps", timesteps),
    sigmas: sigmas === undefined ? undefined : numbersOf("sigmas", sigmas),
  };
  const own = Object.values(typed).some((wish) => wish !== undefined);
  const path = own ? typed : {
    spacing: repeated?.spacing,
    timesteps: repeated?.timesteps,
    sigmas: repeated?.sigmas,
  };
  // A path that says its steps itself does not take those of another run.
  const { spacing: rule } = path;
  const counts = path.timesteps ?? path.sigmas ?? (isRespacing(rule ?? "") || undefined);
  return { ...path, steps: steps ?? (own && counts !== undefined ? undefined : repeated?.steps) };
}

/** The numbers of a flag's list. */
function numbersOf(flag: string, text: string): number[] {
  return text.split(",").map((piece) => {
    const value = readNumber(piece.trim());
    if (!Number.isNaN(value)) return value;
    throw new UsageError(`Cannot use --${flag} ${text}: "${piece}" is no number`);
  });
}

/** The settings that an earlier run kept in a PNG. */
async function readSettings(path: string): Promise<Settings> {
  return parseSettings(readPngText(await Deno.readFile(path), path), path);
}

/** Code is run where a person names it, never because an image does. */
function refuseCode(file: string, kind: Kind, specs: readonly string[]): void {
  if (!specs.some((spec) => spec !== "none" && namesCode(kind, spec))) return;
  const flags = specs.map((spec) => `--${kind} ${JSON.stringify(spec)}`).join(" ");
  throw new UsageError(
    `Cannot repeat "${file}" by itself: it names code outside the program; if you trust it, add ${flags}`,
  );
}

/** What {@linkcode settle} reads of what was typed. */
type Settled =
  & Pick<SampleValues, "class" | "count" | "rng" | "seed" | "unconditional">
  & Partial<Pick<SampleValues, "width" | "height" | "negative" | "clip-skip">>
  & Pick<Settings, "noiseLevel" | "variant" | "modelFlags" | "prediction">
  & { readonly "low-res"?: string | undefined };

/** All that the images depend on: what is typed, else what is repeated, else the defaults. */
export function settle(
  model: Model,
  plan: Plan,
  flags: Settled,
  given: (flag: "rng" | "unconditional") => boolean,
  repeated?: Settings,
  wanted: Partial<Wanted> & { readonly images?: number | undefined } = {},
): Settings {
  const asked = (flags.class === undefined ? undefined : splitClasses(flags.class)) ??
    repeated?.classes;
  const classes = asked?.map((name) => findClass(model, name)) ?? defaultClasses(model);
  const prompts = wanted.texts === "stdin" ? [] : wanted.texts;
  const settings: Settings = {
    model: model.name,
    seed: seedIn(flags, repeated),
    count: wanted.count ?? flags.count ?? repeated?.count ??
      Math.max(1, wanted.images ?? classes.length, prompts?.length ?? 0),
    classes,
    ...prompts && { prompts, negative: flags.negative ?? repeated?.negative ?? "" },
    clipSkip: flags["clip-skip"] ?? repeated?.clipSkip,
    width: flags.width ?? repeated?.width,
    height: flags.height ?? repeated?.height,
    noiseLevel: flags.noiseLevel,
    unclip: plan.around && {
      priorSteps: plan.around.prior.steps,
      priorScale: plan.around.priorScale,
      superResSteps: plan.around.superResolution.steps,
    },
    variant: flags.variant,
    modelFlags: flags.modelFlags,
    prediction: flags.prediction,
    unconditional: given("unconditional")
      ? flags.unconditional
      : repeated?.unconditional ?? flags.unconditional,
    steps: plan.steps,
    sampler: specOf(plan.sampler),
    guidance: plan.guidances.length === 0 ? ["none"] : plan.guidances.map(specOf),
    spacing: plan.spacing,
    timesteps: plan.timesteps,
    sigmas: plan.sigmas,
    rng: given("rng") ? flags.rng : repeated?.rng ?? flags.rng,
    lowRes: flags["low-res"] ?? repeated?.lowRes,
  };
  sizeOf(model, settings); // refused before anything is computed
  return settings;
}

/** The seed that was typed, else the one that is repeated, else a random one. */
function seedIn({ seed }: Pick<SampleValues, "seed">, repeated?: Settings): Seed {
  return seed === undefined && repeated ? repeated.seed : seedOf(seed);
}

/** What is typed of editing; what an inpainting model is shown is none of it. */
function editable(model: Model, flags: SampleValues): SampleValues {
  return besideOf(model) === "masked" ? { ...flags, init: undefined, mask: undefined } : flags;
}

/** What is edited for a model: pixels, and the noise of what its sampler moves. */
export function targetOf(
  model: Model,
  wishes: Pick<Settings, "width" | "height"> = {},
  repeated: Pick<Settings, "width" | "height"> = {},
): Target {
  const factor = factorOf(model);
  const width = wishes.width ?? repeated.width;
  const height = wishes.height ?? repeated.height;
  const size = sizeOf(model, { width, height });
  const channels = pixelChannels(model);
  const x = {
    width: size.width / factor,
    height: size.height / factor,
    channels: channelsOf(model),
  };
  return { ...size, channels, x, unit: familyOf(model.scheduler) === "ve" };
}

/** The settings in a file of noise, where it has any. */
function settingsOfNoise(path: string): Settings | undefined {
  const { texts } = readNoise(path);
  return texts["denoise"] === undefined ? undefined : parseSettings(texts, path);
}

/** All classes in turn, unless they are too many for one sheet. */
function defaultClasses({ labels, nullClass }: Model): readonly string[] {
  if (labels.length <= 32) return labels;
  return nullClass === undefined ? labels.slice(0, 1) : ["none"];
}

function describePath(levels: readonly Level[]): string {
  const rows = levels.map(({ t, alpha, sigma }, index) => [
    String(index),
    t < 0 ? "-" : String(Number(t.toFixed(3))),
    alpha.toFixed(6),
    sigma.toFixed(6),
    sigma === 0 ? "inf" : (2 * Math.log(alpha / sigma)).toFixed(3),
  ]);
  const lines = [["step", "t", "alpha", "sigma", "logSNR"], ...rows];
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((row) => row[i]?.length ?? 0)));
  return lines.map((row) => row.map((cell, i) => cell.padStart(widths?.[i] ?? 0)).join("  "))
    .join("\n");
}

/** Stdout where `--json` has it: images go to a new file, as on a terminal. */
export const TAKEN = {
  isTerminal: () => true,
  write: () => Promise.reject(new Error("stdout holds JSON")),
};

/** The images that are drawn at once, one text or the whole run. */
interface Set {
  readonly settings: Settings;
  readonly first: number;
  readonly end: number;
}

/** The run as one set, or one set for each line of standard input. */
async function* setsOf(
  settings: Settings,
  flags: SampleValues,
  wanted?: Wanted,
): AsyncGenerator<Set> {
  if (wanted?.texts !== "stdin") {
    yield { settings, ...shardOf(flags.shard ?? "1/1", settings.count) };
    return;
  }
  let first = 0;
  for await (const text of readPrompts()) {
    const end = first + wanted.each;
    yield { settings: { ...settings, prompts: [text], count: end }, first, end };
    first = end;
  }
}

async function draw(
  model: Model,
  plan: Plan,
  planned: Settings,
  flags: SampleValues,
  { wanted, ...shown }:
    & { readonly wanted: Wanted | undefined }
    & Pick<Draw, "beside" | "given" | "edit">,
  io: Io,
): Promise<void> {
  await usage(() => shardOf(flags.shard ?? "1/1", planned.count));
  const streams = wanted?.texts === "stdin";
  if (streams && flags.shard !== undefined) {
    throw new UsageError("Cannot split a run whose prompts are still to come: leave --shard out");
  }
  const { width, height } = sizeOf(model, planned);
  const text = (settings: Settings) =>
    settingsText(settings, { size: `${width}x${height}`, version: config.version });
  const output = await usage(() =>
    openOutput({
      to: flags.output,
      separate: flags.separate || streams,
      stem: `${basename(model.name)}-${planned.seed}`,
      sheet: { columns: flags.columns },
      stdout: flags.json ? TAKEN : undefined,
    })
  );
  await output.prepare();
  if (flags.trajectory !== undefined) {
    await (await openOutput({ to: flags.trajectory, stem: "" })).prepare();
  }
  const { engineOf, precisionOf } = await import("./_engine.ts");
  const { loadDenoiser } = await import("../pipeline/denoiser.ts");
  const { bitmapsOf, drawBatches } = await import("../pipeline/draw.ts");
  const { askByText, loadEncoder } = await import("../pipeline/text.ts");
  const started = performance.now();
  const engine = await engineOf(flags, io);
  const steps = stepsOf(plan);
  const batchSize = flags["batch-size"] ?? (factorOf(model) === 1 ? 16 : 1);
  let bar: Progress | undefined;
  const frames: Bitmap[][] = []; // of the trajectory, by step
  const drawnTexts: string[] = [];
  let drawn = 0;
  let settings = planned;
  try {
    const { precision, ...layers } = await precisionOf(model, engine, flags, io);
    settings = { ...planned, precision };
    const denoiser = loadDenoiser(model, engine, flags["cfg-batch"], {
      tile: flags.tile,
      ...layers,
    });
    const encoder = model.text && loadEncoder(model.text, engine, settings.clipSkip);
    for await (const { settings: own, first, end } of setsOf(settings, flags, wanted)) {
      io.signal.throwIfAborted();
      const { prompts = [], negative = "" } = own;
      drawnTexts.push(...prompts);
      const byText = encoder &&
        await askByText(denoiser, encoder, { texts: prompts, negative }, warnOfCuts(io));
      if (!streams) await encoder?.release();
      const asked = byText?.denoiser ?? denoiser;
      bar = progressBar(io, steps * Math.ceil((end - first) / batchSize), "step");
      let done = 0;
      const preview = flags.preview === undefined ? undefined : previewer(bar, io);
      const batches = drawBatches(asked, {
        plan,
        settings: own,
        first,
        end,
        batchSize,
        ...shown,
        releases: !streams,
        signal: io.signal,
        onStepAround: (_, batch) => bar?.update(++done, noteOf(batch)),
        async onStep({ step, x, x0 }, batch) {
          bar?.update(++done, noteOf(batch));
          if (flags.trajectory !== undefined) {
            (frames[step - 1] ??= []).push(...await bitmapsOf(x, asked));
          }
          if (step % (flags.preview ?? Infinity) === 0) preview?.(await bitmapsOf(x0 ?? x, asked));
        },
      });
      for await (const { indices, bitmaps } of batches) {
        for (const [i, bitmap] of bitmaps.entries()) {
          const index = indices[i] ?? 0;
          await output.add(bitmap, index, text(settingsOfImage(own, index)));
        }
        drawn += bitmaps.length;
      }
      bar.stop();
      byText?.dispose();
    }
  } finally {
    bar?.stop();
    await engine.dispose();
    const all = streams ? { ...settings, prompts: drawnTexts, count: drawn } : settings;
    const files = drawn === 0 ? [] : await output.finish(text(all));
    if (drawn > 0 && flags.trajectory !== undefined) {
      await saveTrajectory(flags.trajectory, frames, drawn, text(all));
      files.push(flags.trajectory);
    }
    const seconds = (performance.now() - started) / 1000;
    io.detail(`${drawn} images of ${plan.steps} steps in ${seconds.toFixed(1)} s`);
    if (files.length > 0) io.log(describeFiles(files, settings.seed));
    if (flags.json) {
      const record = { ...all, seed: String(settings.seed), drawn, files, seconds };
      await io.write(JSON.stringify(record, null, 2));
    }
  }
}

/** All steps of a batch, those before and behind x included. */
function stepsOf({ levels, around }: Plan): number {
  const own = levels.length - 1;
  return around === undefined ? own : own + stepsOf(around.prior) + stepsOf(around.superResolution);
}

/** Which batch is drawn, where there are several. */
function noteOf({ number, batches }: Batch): string {
  return batches > 1 ? `batch ${number + 1} of ${batches}` : "";
}

/** Shows images in the terminal, each time over the last ones. */
function previewer(bar: Progress, io: Io): ((images: readonly Bitmap[]) => void) | undefined {
  const protocol = io.progress ? chooseProtocol(env) : "none";
  if (protocol === "none") {
    io.warn("--preview shows nothing here: stderr is no terminal that can draw");
    return undefined;
  }
  let rows = 0;
  return (images) => {
    const picture = drawPicture(makeSheet(images), protocol);
    bar.log(`${rows > 0 ? `\x1b[${rows}A` : ""}${picture.text}`);
    rows = picture.rows;
  };
}

/** Writes the run as an animation of three seconds; only images that were finished are in it. */
async function saveTrajectory(
  path: string,
  frames: readonly (readonly Bitmap[])[],
  drawn: number,
  text: Record<string, string>,
): Promise<void> {
  const sheets = frames.map((images) => makeSheet(images.slice(0, drawn)));
  const delay = Math.max(20, Math.min(200, Math.round(3000 / sheets.length)));
  await writeAtomic(path, encodeApng(sheets, { delay, hold: 2000, text }));
}

/** What was written, in one line. */
export function describeFiles(files: readonly string[], seed?: Seed): string {
  const [first = ""] = files;
  const names = files.length <= 3
    ? files.join(", ")
    : `${files.length} files, ${first} to ${basename(files.at(-1) ?? "")}`;
  return `Wrote ${names}${seed === undefined ? "" : ` (seed ${seed})`}`;
}
