import { basename, extname } from "@std/path";
import type * as tf from "tfjs";
import config from "../deno.json" with { type: "json" };
import { encodeApng } from "../images/apng.ts";
import { writeAtomic } from "../images/atomic.ts";
import { openOutput } from "../images/output.ts";
import { type Bitmap, toBitmaps } from "../images/pixels.ts";
import { readPngText } from "../images/png.ts";
import { makeSheet } from "../images/sheet.ts";
import { chooseProtocol, drawPicture } from "../images/terminal.ts";
import { imageNoise, imageSeeds, parseSeed, type Seed } from "../noise/mod.ts";
import { type Model, openModel } from "../pipeline/model.ts";
import { makePlan, type Plan, specOf } from "../pipeline/plan.ts";
import type { Level } from "../plugin.ts";
import { nearest } from "../plugins/nearest.ts";
import { describeOption } from "../plugins/options.ts";
import { SPACINGS } from "../schedules/mod.ts";
import { type Args, command, usage, UsageError, type Values } from "./_command.ts";
import { table } from "./_help.ts";
import { env, type Io } from "./_io.ts";
import { progressBar } from "./_progress.ts";

const flags = {
  count: { type: "integer", alias: "n", min: 1, help: "images; one of each class without it" },
  class: {
    type: "string",
    value: "NAME,…",
    help: "classes, by name or number, given to the images in turn; none for the null class",
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
  rng: {
    type: "string",
    choices: ["philox", "torch"],
    default: "philox",
    help: "generator of the noise; torch equals torch.Generator('cpu')",
  },
  spacing: {
    type: "string",
    choices: SPACINGS,
    help: "how the steps are spread over the training timesteps",
  },
  "batch-size": { type: "integer", min: 1, default: 16, help: "images computed at once" },
  shard: { type: "string", value: "I/N", help: "draw only the I-th of N parts of the run" },
  engine: {
    type: "string",
    choices: ["auto", "onnx", "tensorflow", "cpu"],
    default: "auto",
    help: "what computes; auto is the fastest that is there",
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
} as const;

type SampleValues = Values<typeof flags>;

/** The settings that a PNG keeps: with the model, all that its images depend on. */
interface Settings {
  readonly model: string;
  readonly seed: Seed;
  readonly count: number;
  readonly classes: readonly string[];
  readonly unconditional: boolean;
  readonly steps: number;
  readonly sampler: string;
  readonly guidance: readonly string[];
  readonly spacing?: string | undefined;
  readonly rng: "philox" | "torch";
}

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
  ],
  flags,
  details,
  async run({ flags, positional: [spec], given, io }) {
    const repeated = flags.from === undefined ? undefined : await readSettings(flags.from);
    const model = openModel(spec ?? repeated?.model ?? "digits");
    const plan = await usage(() => {
      const wish = <T>(flag: keyof SampleValues & string, asked: T, kept: T | undefined) =>
        given(flag) ? asked : kept ?? asked;
      return makePlan(model, {
        sampler: wish("sampler", flags.sampler, repeated?.sampler),
        steps: wish("steps", flags.steps, repeated?.steps),
        guidance: given("guidance") ? flags.guidance : repeated?.guidance,
        spacing: wish("spacing", flags.spacing, repeated?.spacing as SampleValues["spacing"]),
      });
    });
    const settings = await usage(() => settle(model, plan, flags, given, repeated));
    if (flags["dry-run"]) {
      await io.write(flags.json ? JSON.stringify(settings, null, 2) : describePath(plan.levels));
      return 0;
    }
    const range = await usage(() => shardOf(flags.shard, settings.count));
    if (flags.shard !== undefined && !given("seed") && repeated === undefined) {
      throw new UsageError("Cannot split a run without --seed: every part would draw another one");
    }
    await draw(model, plan, settings, range, flags, io);
    return 0;
  },
});

/** The options of the plugins that were named, for help. */
async function details({ flags: { sampler, guidance } }: Pick<Args<typeof flags>, "flags">): Promise<string> {
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
  return chosen.map(({ name, summary, options }) => {
    const rows = Object.entries(options).map(([key, option]) => {
      const row = describeOption(key, option);
      return [row.name, row.help] as const;
    });
    return `Options of ${name} (${summary}):\n${rows.length === 0 ? "  none" : table(rows)}`;
  }).join("\n\n");
}

/** Settings kept in a PNG by an earlier run. */
async function readSettings(path: string): Promise<Settings> {
  const text = readPngText(await Deno.readFile(path), path)["denoise"];
  if (text === undefined) {
    throw new Error(`Cannot repeat "${path}": it holds no settings of denoise`);
  }
  try {
    const { seed, ...rest } = JSON.parse(text);
    return { ...rest, seed: parseSeed(String(seed)) };
  } catch (cause) {
    throw new Error(`Cannot repeat "${path}": its settings are damaged`, { cause });
  }
}

function settle(
  model: Model,
  plan: Plan,
  flags: SampleValues,
  given: (flag: keyof SampleValues & string) => boolean,
  repeated: Settings | undefined,
): Settings {
  const classes = flags.class === undefined
    ? repeated?.classes ?? (model.labels.length > 32 ? ["none"] : model.labels)
    : flags.class.split(",").map((name) => findClass(model, name.trim()));
  const random = () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return {
    model: model.name,
    seed: flags.seed === undefined ? repeated?.seed ?? random() : parseSeed(flags.seed),
    count: flags.count ?? repeated?.count ?? Math.max(1, classes.length),
    classes,
    unconditional: given("unconditional")
      ? flags.unconditional
      : repeated?.unconditional ?? flags.unconditional,
    steps: plan.steps,
    sampler: specOf(plan.sampler),
    guidance: plan.guidances.length === 0 ? ["none"] : plan.guidances.map(specOf),
    spacing: plan.spacing,
    rng: given("rng") ? flags.rng : repeated?.rng ?? flags.rng,
  };
}

/** The label that a name or a number stands for. */
function findClass({ labels, nullClass, name: model }: Model, name: string): string {
  if (labels.length === 0) throw new RangeError(`Cannot use --class: ${model} has no classes`);
  if (name === "none") {
    if (nullClass !== undefined) return name;
    throw new RangeError(`Cannot use --class none: ${model} was trained without a null class`);
  }
  const label = labels.includes(name)
    ? name
    : /^\d+$/.test(name)
    ? labels[Number(name)]
    : undefined;
  if (label !== undefined) return label;
  const near = nearest(name, labels);
  throw new RangeError(
    `Cannot find class "${name}": ${
      near ? `did you mean ${near}?` : `${model} has ${labels.slice(0, 12).join(", ")}`
    }${!near && labels.length > 12 ? ", …" : ""}`,
  );
}

/** The images of a shard, as indices from `first` to before `end`. */
function shardOf(text: string | undefined, count: number): { first: number; end: number } {
  if (text === undefined) return { first: 0, end: count };
  const [, part = "", parts = ""] = text.match(/^(\d+)\/(\d+)$/) ?? [];
  const [i, n] = [Number(part), Number(parts)];
  if (part === "" || n < 1 || i < 1 || i > n) {
    throw new RangeError(
      `Cannot use --shard ${text}: it must be I/N with I from 1 to N, as in 1/2`,
    );
  }
  return { first: Math.floor(count * (i - 1) / n), end: Math.floor(count * i / n) };
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

/** The texts of a PNG: ours as JSON, and the line that other tools show. */
function textOf(settings: Settings, size: string): Record<string, string> {
  const { seed, ...rest } = settings;
  const own = { ...rest, seed: String(seed), version: config.version };
  const line = [
    `Steps: ${settings.steps}`,
    `Sampler: ${settings.sampler}`,
    `Guidance: ${settings.guidance.join(" + ")}`,
    `Class: ${settings.classes.join(" ") || "none"}`,
    `Seed: ${seed}`,
    `Size: ${size}`,
    `Model: ${settings.model}`,
    `RNG: ${settings.rng}`,
    `Version: denoise ${config.version}`,
  ].join(", ");
  return { parameters: line, denoise: JSON.stringify(own) };
}

async function draw(
  model: Model,
  plan: Plan,
  settings: Settings,
  { first, end }: { first: number; end: number },
  flags: SampleValues,
  io: Io,
): Promise<void> {
  const { config } = model.unet;
  const height = config.sample_size ?? 32;
  const [width, channels] = [height, config.in_channels];
  const size = `${width}x${height}`;
  const output = flags.json && flags.output === undefined ? undefined : await openOutput({
    to: flags.output,
    separate: flags.separate,
    stem: `${model.name}-${settings.seed}`,
    sheet: { columns: flags.columns },
  });
  await output?.prepare();
  if (flags.trajectory !== undefined && extname(flags.trajectory) !== ".png") {
    throw new UsageError(`Cannot write ${flags.trajectory}: --trajectory needs a name in .png`);
  }
  const { openEngine } = await import("../engines/mod.ts");
  const { loadDenoiser, guidedPredict } = await import("../pipeline/denoiser.ts");
  const { run } = await import("../pipeline/run.ts");
  const engine = await openEngine(
    flags.engine,
    { threads: flags.threads },
    (name, reason) => io.detail(`Passed over ${name}: ${reason}`),
  );
  if (engine.name === "cpu" && flags.engine === "auto") {
    io.warn("only the slow engine is there; see denoise list engines");
  }
  io.detail(`Computing on ${engine.description}`);
  const started = performance.now();
  const { promise, frames, done } = { promise: undefined, frames: [] as Bitmap[][], done: [0] };
  void promise;
  try {
    const denoiser = loadDenoiser(model, engine);
    const batches: number[][] = [];
    for (let start = first; start < end; start += flags["batch-size"]) {
      const stop = Math.min(end, start + flags["batch-size"]);
      batches.push(Array.from({ length: stop - start }, (_, i) => start + i));
    }
    const steps = plan.levels.length - 1;
    const bar = progressBar(io, steps * batches.length, "step");
    const protocol = flags.preview === undefined || !io.progress ? "none" : chooseProtocol(env);
    let drawn = 0; // rows of the last preview
    try {
      for (const [batch, indices] of batches.entries()) {
        const labels = indices.map((index) => settings.classes[index % settings.classes.length]);
        const shape = [indices.length, height, width, channels] as const;
        const bitmaps = async (x: tf.Tensor4D) => toBitmaps(await x.data() as Float32Array, shape);
        const predict = guidedPredict(
          denoiser,
          conditionsOf(model, labels, settings.unconditional),
          plan.guidances,
          plan.sampler.plugin.takesShift === true,
        );
        const seeds = imageSeeds(settings.seed, indices.length, indices[0] ?? 0);
        const noise = imageNoise(settings.rng, seeds, [height, width, channels]);
        const keep = async (index: number, x: tf.Tensor4D) => {
          if (flags.trajectory === undefined) return;
          (frames[index] ??= []).push(...await bitmaps(x));
        };
        const x = await run({
          sampler: plan.sampler,
          path: plan.levels,
          predict,
          noise,
          signal: io.signal,
          async onStep({ step, steps, x, x0 }) {
            bar.update(batch * steps + step, `image ${indices[0]} to ${indices.at(-1)}`);
            await keep(step, x);
            if (protocol !== "none" && flags.preview && step % flags.preview === 0) {
              const sheet = makeSheet(await bitmaps(x0 ?? x));
              const { text, rows } = drawPicture(sheet, protocol);
              bar.log(`${drawn > 0 ? `\x1b[${drawn}A` : ""}${text}`);
              drawn = rows;
            }
          },
        });
        for (const [i, bitmap] of (await bitmaps(x)).entries()) {
          const index = indices[i] ?? 0;
          const own = { ...settings, ...ownSettings(settings, index) };
          await output?.add(bitmap, index, textOf(own, size));
        }
        x.dispose();
        done[0] = (done[0] ?? 0) + indices.length;
      }
    } finally {
      bar.stop();
      const files = (done[0] ?? 0) > 0 ? await output?.finish(textOf(settings, size)) ?? [] : [];
      if (flags.trajectory !== undefined && (done[0] ?? 0) > 0) {
        await saveTrajectory(flags.trajectory, frames, textOf(settings, size));
        files.push(flags.trajectory);
      }
      const seconds = (performance.now() - started) / 1000;
      io.detail(`${done[0]} images of ${steps} steps in ${seconds.toFixed(1)} s`);
      if (files.length > 0) io.log(describeFiles(files, settings));
      if (flags.json) {
        const { seed, ...rest } = settings;
        await io.write(JSON.stringify({ ...rest, seed: String(seed), files, seconds }, null, 2));
      }
    }
  } finally {
    await engine.dispose();
  }
}

/** What differs for one image of a run. */
function ownSettings({ seed, classes }: Settings, index: number): Partial<Settings> {
  const label = classes[index % classes.length];
  return {
    seed: imageSeeds(seed, 1, index)[0] ?? seed,
    count: 1,
    classes: label === undefined ? [] : [label],
  };
}

function conditionsOf(
  model: Model,
  labels: readonly (string | undefined)[],
  unconditional: boolean,
) {
  if (model.unet.config.num_class_embeds === null) return {};
  const numbers = labels.map((label) => label === undefined ? -1 : model.labels.indexOf(label));
  const nullClass = model.nullClass ?? 0;
  if (unconditional && model.nullClass === undefined) {
    throw new UsageError(`Cannot use --unconditional: ${model.name} has no null class`);
  }
  return {
    network: Int32Array.from(numbers, (label) => label < 0 || unconditional ? nullClass : label),
    classifier: numbers.every((label) => label >= 0) ? Int32Array.from(numbers) : undefined,
  };
}

async function saveTrajectory(
  path: string,
  frames: readonly (readonly Bitmap[])[],
  text: Record<string, string>,
): Promise<void> {
  const sheets = frames.filter((frame) => frame !== undefined).map((frame) => makeSheet(frame));
  const delay = Math.max(20, Math.min(200, Math.round(3000 / sheets.length)));
  await writeAtomic(path, encodeApng(sheets, { delay, hold: 2000, text }));
}

function describeFiles(files: readonly string[], { seed }: Settings): string {
  const [first = ""] = files;
  const names = files.length === 1
    ? first
    : `${files.length} files, ${basename(first)} to ${basename(files.at(-1) ?? "")}`;
  return `Wrote ${names} (seed ${seed})`;
}
