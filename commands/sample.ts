import { basename, extname, resolve } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { type Edit, openEdit, settleEdit, type Target } from "../editing/edit.ts";
import { readNoise } from "../editing/noise_file.ts";
import { encodeApng } from "../images/apng.ts";
import { writeAtomic } from "../images/atomic.ts";
import { openOutput } from "../images/output.ts";
import type { Bitmap } from "../images/pixels.ts";
import { readPngText } from "../images/png.ts";
import { makeSheet } from "../images/sheet.ts";
import { chooseProtocol, drawPicture } from "../images/terminal.ts";
import { edgeOf, type Model, openModel } from "../pipeline/model.ts";
import { makePlan, namesCode, type Plan, specOf, type Wishes } from "../pipeline/plan.ts";
import {
  describeRoute,
  findClass,
  parseSettings,
  type Settings,
  settingsOfImage,
  settingsText,
  shardOf,
  splitClasses,
} from "../pipeline/settings.ts";
import type { Seed } from "../noise/mod.ts";
import type { Level } from "../plugin.ts";
import { readNumber } from "../plugins/number.ts";
import { describeOption, type Kind } from "../plugins/options.ts";
import { parseSpec } from "../plugins/spec.ts";
import { ends, familyOf, findRule, isRespacing, processOf, unfollowed } from "../schedules/mod.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import { editFlags, editWishes } from "./_editing.ts";
import { table } from "./_help.ts";
import { env, type Io } from "./_io.ts";
import { rng, seedOf } from "./_noise.ts";
import { type Progress, progressBar } from "./_progress.ts";

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
  "batch-size": { type: "integer", min: 1, default: 16, help: "images computed at once" },
  "cfg-batch": {
    type: "string",
    choices: ["together", "sequential"],
    default: "together",
    help: "labelled and unlabelled half of guidance in one call, or in two for less memory",
  },
  shard: { type: "string", value: "I/N", help: "draw only the I-th of N parts of the run" },
  engine: {
    type: "string",
    choices: ["auto", "onnx", "tensorflow", "wasm", "cpu", "webgpu"],
    default: "auto",
    help: "what computes; auto is the fastest that is there, webgpu only where it is named",
  },
  provider: {
    type: "string",
    choices: ["auto", "cpu", "cuda", "coreml", "dml", "webgpu"],
    default: "auto",
    help: "what ONNX Runtime computes on; list engines says what it has; auto is cuda, or the cpu",
  },
  threads: { type: "integer", min: 1, help: "threads of the CPU; all cores without it" },
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
    "Draws images and writes them as PNG. MODEL is a bundled name (digits without it) or a model " +
    "folder in the layout of diffusers. stdout carries image bytes alone, so it can be piped. " +
    "The settings are kept in the PNG: `metadata` prints them, `--from` repeats them.",
  examples: [
    ["sample -o digits.png", "one of each digit"],
    ["sample --class 7 | display", "a seven, in another program"],
    ["sample -n 16 --class 3 --guidance cfg,scale=4 --seed 1 -o threes.png", "strong guidance"],
    ["sample -n 64 --separate -o out/ --shard 1/2", "half of a run, as numbered files"],
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
    const model = openModel(name ?? repeated?.model ?? "digits");
    processOf(model.scheduler); // a fault of the model, not of what was typed
    for (const key of unfollowed(model.scheduler)) {
      io.warn(`The scheduler of ${model.name} says ${key}, which is not followed here`);
    }
    const seed = await usage(() => seedIn(flags, repeated));
    const opened = await usage(() => {
      const wishes = editWishes(flags, seed, repeated?.edit);
      return wishes && openEdit(settleEdit(wishes), targetOf(model), io.log);
    });
    const plan = await usage(() =>
      makePlan(model, {
        sampler: flags.sampler ?? repeated?.sampler,
        guidance: given("guidance") ? flags.guidance : repeated?.guidance,
        ...pathWishes(flags, repeated),
        edit: opened?.settings,
      })
    );
    const settled = await usage(() =>
      settle(model, plan, { ...flags, seed: String(seed) }, given, repeated)
    );
    const settings = opened === undefined ? settled : { ...settled, edit: opened.settings };
    if (flags["dry-run"]) {
      io.log(`${settings.sampler} along ${describeRoute(settings)}`);
      await io.write(flags.json ? JSON.stringify(plan.levels) : describePath(plan.levels));
      return 0;
    }
    await draw(model, plan, settings, flags, io, opened?.edit);
    return 0;
  },
});

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

/** All that the images depend on: what is typed, else what is repeated, else the defaults. */
export function settle(
  model: Model,
  plan: Plan,
  flags: Pick<SampleValues, "class" | "count" | "rng" | "seed" | "unconditional">,
  given: (flag: "rng" | "unconditional") => boolean,
  repeated?: Settings,
): Settings {
  const asked = (flags.class === undefined ? undefined : splitClasses(flags.class)) ??
    repeated?.classes;
  const classes = asked?.map((name) => findClass(model, name)) ?? defaultClasses(model);
  return {
    model: model.name,
    seed: seedIn(flags, repeated),
    count: flags.count ?? repeated?.count ?? Math.max(1, classes.length),
    classes,
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
  };
}

/** The seed that was typed, else the one that is repeated, else a random one. */
function seedIn({ seed }: Pick<SampleValues, "seed">, repeated?: Settings): Seed {
  return seed === undefined && repeated ? repeated.seed : seedOf(seed);
}

/** What is edited for a model. */
export function targetOf(model: Model): Target {
  const edge = edgeOf(model);
  const channels = model.unet.config.in_channels as 1 | 3; // which openModel() has checked
  return { width: edge, height: edge, channels, unit: familyOf(model.scheduler) === "ve" };
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

async function draw(
  model: Model,
  plan: Plan,
  settings: Settings,
  flags: SampleValues,
  io: Io,
  edit?: Edit,
): Promise<void> {
  const { first, end } = await usage(() => shardOf(flags.shard ?? "1/1", settings.count));
  const edge = edgeOf(model);
  const text = (settings: Settings) =>
    settingsText(settings, { size: `${edge}x${edge}`, version: config.version });
  const output = await usage(() =>
    openOutput({
      to: flags.output,
      separate: flags.separate,
      stem: `${model.name}-${settings.seed}`,
      sheet: { columns: flags.columns },
      stdout: flags.json ? TAKEN : undefined,
    })
  );
  await output.prepare();
  if (flags.trajectory !== undefined) {
    await (await openOutput({ to: flags.trajectory, stem: "" })).prepare();
  }
  const { engineOf } = await import("./_engine.ts");
  const { loadDenoiser } = await import("../pipeline/denoiser.ts");
  const { bitmapsOf, drawBatches } = await import("../pipeline/draw.ts");
  const started = performance.now();
  const engine = await engineOf(flags, io);
  const steps = plan.levels.length - 1;
  const bar = progressBar(io, steps * Math.ceil((end - first) / flags["batch-size"]), "step");
  const preview = flags.preview === undefined ? undefined : previewer(bar, io);
  const frames: Bitmap[][] = []; // of the trajectory, by step
  let drawn = 0;
  try {
    const denoiser = loadDenoiser(model, engine, flags["cfg-batch"]);
    const batches = drawBatches(denoiser, {
      plan,
      settings,
      first,
      end,
      batchSize: flags["batch-size"],
      edit,
      signal: io.signal,
      async onStep({ step, x, x0 }, { number, batches }) {
        bar.update(number * steps + step, batches > 1 ? `batch ${number + 1} of ${batches}` : "");
        if (flags.trajectory !== undefined) {
          (frames[step - 1] ??= []).push(...await bitmapsOf(x, model));
        }
        if (step % (flags.preview ?? Infinity) === 0) preview?.(await bitmapsOf(x0 ?? x, model));
      },
    });
    for await (const { indices, bitmaps } of batches) {
      for (const [i, bitmap] of bitmaps.entries()) {
        const index = indices[i] ?? 0;
        await output.add(bitmap, index, text(settingsOfImage(settings, index)));
      }
      drawn += bitmaps.length;
    }
  } finally {
    bar.stop();
    await engine.dispose();
    const files = drawn === 0 ? [] : await output.finish(text(settings));
    if (drawn > 0 && flags.trajectory !== undefined) {
      await saveTrajectory(flags.trajectory, frames, drawn, text(settings));
      files.push(flags.trajectory);
    }
    const seconds = (performance.now() - started) / 1000;
    io.detail(`${drawn} images of ${steps} steps in ${seconds.toFixed(1)} s`);
    if (files.length > 0) io.log(describeFiles(files, settings.seed));
    if (flags.json) {
      const record = { ...settings, seed: String(settings.seed), drawn, files, seconds };
      await io.write(JSON.stringify(record, null, 2));
    }
  }
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
