import { basename, extname } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { givenNoise } from "../editing/edit.ts";
import { slerp } from "../editing/slerp.ts";
import { encodeApng } from "../images/apng.ts";
import { writeAtomic } from "../images/atomic.ts";
import { openOutput, type Output } from "../images/output.ts";
import type { Bitmap } from "../images/pixels.ts";
import { imageNoise, parseSeed } from "../noise/mod.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import { channelsOf, edgeOf, factorOf, type Model, openModel } from "../pipeline/model.ts";
import { makePlan, type Plan } from "../pipeline/plan.ts";
import { startDeviation } from "../pipeline/run.ts";
import { findClass, type Settings } from "../pipeline/settings.ts";
import { animationPath } from "./_animation.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import { batchSizeOf } from "./_drawing.ts";
import { engineFlags } from "./_engine_flags.ts";
import {
  checkInvertible,
  encodePictures,
  inversionFlags,
  inversionRun,
  openDenoiser,
  readPictures,
  textsOf,
} from "./_inversion.ts";
import type { Io } from "./_io.ts";
import { rng } from "./_noise.ts";
import { progressBar } from "./_progress.ts";
import sample, { describeFiles, pathWishes, settle } from "./sample.ts";

const flags = {
  ...inversionFlags,
  class: {
    type: "string",
    value: "A[,B]",
    help: "what the ends show; between two classes their mixture; none without it",
  },
  steps: { ...sample.flags.steps, help: "as in sample; 100 between pictures without it" },
  guidance: sample.flags.guidance,
  refine: { ...inversionFlags.refine, help: `of pictures: ${inversionFlags.refine.help}` },
  frames: {
    type: "integer",
    alias: "n",
    min: 2,
    default: 25,
    help: "pictures, both ends included",
  },
  sampler: { ...sample.flags.sampler, help: "between seeds; pictures are inverted for ddim" },
  rng,
  "batch-size": { ...sample.flags["batch-size"], default: 16 },
  ...engineFlags,
  output: {
    type: "string",
    alias: "o",
    value: "FILE",
    complete: "file",
    help: "file.png (animated), folder/ or - for one PNG after another; as sample without it",
    group: "Output",
  },
} as const;

type InterpolateValues = Values<typeof flags>;

/** `denoise interpolate`: from one image to another through noise. */
export default command({
  name: "interpolate",
  summary: "draws the images between two, through their noise",
  usage: "A B",
  description:
    "Turns the noise of A into the noise of B along the sphere (DDIM, section 5.3) and draws each " +
    "step of it. A and B are seeds or pictures; pictures are inverted first. The frames become an " +
    "animated PNG, numbered files, or one PNG after another on a pipe.",
  examples: [
    ["interpolate 3 17 --class 8 -o eights.png", "an animated PNG"],
    ["interpolate 1 1 --class 3,8 -o classes.png", "one hand, from a three to an eight"],
    ["interpolate a.png b.jpg -n 60 | ffmpeg -f image2pipe -i - morph.mp4", "between pictures"],
  ],
  flags,
  async run({ flags, positional, given, io }) {
    const [a = "", b = ""] = positional;
    const model = openModel(flags.model);
    checkInvertible(model);
    if (flags.prompt.length > 1) {
      throw new UsageError("Cannot use --prompt twice: all images between show one text");
    }
    const images = [a, b].filter((end) => !isSeed(end));
    if (images.length > 0 && flags.sampler !== undefined) {
      throw new UsageError("Cannot use --sampler between pictures: ddim leads back to them");
    }
    if (images.length === 0 && given("refine")) {
      throw new UsageError("Cannot use --refine between seeds: it is for pictures, to invert them");
    }
    if (images.length === 2 && given("rng")) {
      throw new UsageError("Cannot use --rng between pictures: their noise is found, not drawn");
    }
    await usage(() => [a, b].filter(isSeed).map(parseSeed));
    const ends = (flags.class ?? "").split(",").map((name) => name.trim());
    if (ends.length > 2) {
      throw new UsageError(`Cannot use --class ${flags.class}: there are two ends, A,B`);
    }
    const [from = "none", to = from] = flags.class === undefined ? [] : ends;
    const between = await usage(() =>
      model.labels.length === 0 ? [] : classesBetween(model, [from, to], flags.frames)
    );
    const inverted = images.length === 0 ? undefined : await inversionRun(
      model,
      {
        ...flags,
        steps: flags.steps ?? 100,
        class: between.length > 0
          ? [a, b]
            .flatMap((end, i) => isSeed(end) ? [] : [i === 0 ? from : to]).join(",")
          : undefined,
      },
      images.length,
      given,
    );
    const plan = inverted?.plan ?? await usage(() =>
      makePlan(model, {
        sampler: flags.sampler,
        guidance: given("guidance") ? flags.guidance : undefined,
        ...pathWishes(flags),
      })
    );
    const settings = {
      ...settle(
        model,
        plan,
        {
          class: undefined,
          count: flags.frames,
          rng: flags.rng,
          seed: isSeed(a) ? a : isSeed(b) ? b : "0",
          unconditional: false,
          negative: flags.negative,
        },
        () => false,
        undefined,
        await textsOf(model, flags),
      ),
      classes: between,
    };
    const title = [a, b].map((end) => isSeed(end) ? end : basename(end, extname(end))).join("-");
    const stem = `${basename(model.name)}-${title}`;
    const path = await usage(() => animationPath(flags.output, stem, io));
    const output = path === undefined
      ? await usage(() => openOutput({ to: flags.output, separate: true, stem }))
      : undefined;
    await output?.prepare();
    const pictures = await readPictures(images, model, io);
    const { engineOf } = await import("./_engine.ts");
    const typed = { ...flags, "batch-size": batchSizeOf(model, flags, given) };
    const engine = await engineOf(flags, io);
    try {
      const denoiser = await openDenoiser(model, engine, settings, io);
      const found = inverted && await encodePictures(denoiser, inverted, pictures, typed, io);
      const noises = [a, b].map((end) => {
        if (isSeed(end)) return seedNoise(end, model, plan, flags);
        const index = images.indexOf(end);
        const span = (found?.values.length ?? 0) / images.length;
        return found?.values.subarray(index * span, (index + 1) * span) ?? new Float32Array();
      });
      const frames = await drawFrames(
        denoiser,
        { plan, settings, noises, flags: typed, output },
        io,
      );
      if (path !== undefined) {
        const delay = Math.max(20, Math.min(200, Math.round(3000 / frames.length)));
        const text = { interpolate: recordOf(settings, [a, b]) };
        await writeAtomic(path, encodeApng(frames, { delay, hold: 500, text }));
      }
      const files = await output?.finish() ?? [path ?? ""];
      if (files.length > 0) io.log(describeFiles(files));
    } finally {
      await engine.dispose();
    }
    return 0;
  },
});

const isSeed = (end: string) => /^\d+$/.test(end);

/** The class of each frame, mixed between the ends. */
function classesBetween(
  model: Model,
  [from, to]: readonly [string, string],
  frames: number,
): string[] {
  const [a, b] = [findClass(model, from), findClass(model, to)];
  return Array.from({ length: frames }, (_, i) => {
    const share = Number((i / (frames - 1)).toFixed(6));
    if (a === b || share === 0) return a;
    return share === 1
      ? b
      : findClass(model, `${a}:${Number((1 - share).toFixed(6))}+${b}:${share}`);
  });
}

/** The noise that `sample` begins with. */
function seedNoise(
  seed: string,
  model: Model,
  { start, levels: [first] }: Plan,
  { rng }: InterpolateValues,
): Float32Array {
  const edge = edgeOf(model) / factorOf(model);
  const deviation = start ?? (first ? startDeviation(first) : 1);
  const noise = imageNoise(rng, [parseSeed(seed)], [edge, edge, channelsOf(model)]).draw();
  return noise.map((value) => value * deviation);
}

/** What frames keep; it is no run of `sample`, so `--from` does not take it. */
function recordOf(settings: Settings, ends: readonly string[], frame?: number): string {
  const { seed, classes, ...rest } = settings;
  return JSON.stringify({
    ...rest,
    from: ends[0],
    to: ends[1],
    ...frame !== undefined && { frame },
    classes: [classes[0], classes.at(-1)],
    version: config.version,
    seed: String(seed),
  });
}

/** Draws the frames, and writes them where each is a file. */
async function drawFrames(
  denoiser: Denoiser,
  { plan, settings, noises: [a, b], flags, output }: {
    readonly plan: Plan;
    readonly settings: Settings;
    readonly noises: readonly Float32Array[];
    readonly flags: InterpolateValues;
    readonly output: Output | undefined;
  },
  io: Io,
): Promise<Bitmap[]> {
  const { drawBatches } = await import("../pipeline/draw.ts");
  const { frames: end, "batch-size": batchSize } = flags;
  const steps = plan.levels.length - 1;
  const bar = progressBar(io, steps * Math.ceil(end / batchSize), "step");
  const none = new Float32Array();
  const batches = drawBatches(denoiser, {
    plan,
    settings,
    first: 0,
    end,
    batchSize,
    edit: givenNoise((index) => slerp(a ?? none, b ?? none, index / (end - 1))),
    signal: io.signal,
    onStep: ({ step }, { number }) => bar.update(number * steps + step),
  });
  const frames: Bitmap[] = [];
  try {
    for await (const { indices, bitmaps } of batches) {
      frames.push(...bitmaps);
      for (const [i, bitmap] of bitmaps.entries()) {
        const index = indices[i] ?? 0;
        const text = { interpolate: recordOf(settings, [], index) };
        await output?.add(bitmap, index, text);
      }
    }
  } finally {
    bar.stop();
  }
  return frames;
}
