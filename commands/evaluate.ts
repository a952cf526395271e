import { basename, join } from "@std/path";
import { exists } from "@std/fs";
import { distancesOn } from "../evaluation/algebra/distances.ts";
import { compare, type Comparison, pageOf } from "../evaluation/compare.ts";
import { chooseMetrics } from "../evaluation/evaluate.ts";
import { extractSide } from "../evaluation/extract.ts";
import { chooseFeatures, type ChosenFeatures } from "../evaluation/features/mod.ts";
import { readHistory } from "../evaluation/history.ts";
import { openImages, sizeText, subset } from "../evaluation/images.ts";
import { drawsNothing, type Side } from "../evaluation/metric.ts";
import { type Described, reportJson, reportText } from "../evaluation/report.ts";
import { PREPROCESSES } from "../evaluation/resize.ts";
import { drawInto, runKey, shapeOf } from "../evaluation/sampled.ts";
import { loadStatistics, type Saved, saveStatistics } from "../evaluation/statistics.ts";
import type { Engine } from "../engines/engine.ts";
import { writeAtomic } from "../images/atomic.ts";
import { type Denoiser, loadDenoiser } from "../pipeline/denoiser.ts";
import { findModel, isModel, openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";
import type { Settings } from "../pipeline/settings.ts";
import { askByText, loadEncoder } from "../pipeline/text.ts";
import type { Dataset } from "../training/data/mod.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import { engineFlags } from "./_engine_flags.ts";
import { batchSizeOf, drawingFlags } from "./_drawing.ts";
import { engineOf, precisionOf } from "./_engine.ts";
import type { Io } from "./_io.ts";
import { IMAGES, likelihoodOptions, measureLikelihood } from "./_likelihood.ts";
import { promptFlags, promptsOf, warnOfCuts } from "./_prompts.ts";
import { progressBar } from "./_progress.ts";
import sample, { checkScales, details, pathWishes, settle } from "./sample.ts";

/** Samples of a model unless it is said. */
const COUNT = 5000;

const drawing = "Drawing, where SAMPLES is a model";

/** What only a model has a use for. */
const modelFlags = {
  ...drawingFlags(drawing),
  ...promptFlags,
  "prompt-file": {
    ...promptFlags["prompt-file"],
    help: "one prompt a line, given to the images in turn",
  },
  "cfg-batch": { ...sample.flags["cfg-batch"], group: drawing },
  precision: { ...sample.flags.precision, group: drawing },
  scales: { ...sample.flags.scales, group: drawing },
  out: {
    type: "string",
    alias: "o",
    value: "FOLDER",
    complete: "folder",
    help:
      "where samples are kept, and taken up again; runs/evaluate/ and a name of its own without",
    group: drawing,
  },
} as const;

const flags = {
  reference: {
    type: "string",
    alias: "r",
    value: "DATA",
    complete: "folder",
    help: "what samples should be like: mnist, a file or folder of images, or saved statistics",
  },
  features: {
    type: "string",
    default: "digits",
    value: "NAME|FILE",
    complete: "file",
    help:
      "what sees the images: digits, pixels, an ONNX file such as inception.onnx,range=unit, a " +
      "folder of train-classifier, or a plugin",
  },
  preprocess: {
    type: "string",
    choices: PREPROCESSES,
    default: "none",
    help:
      "fid resizes to 299 as TensorFlow's graph of 2015, without antialiasing, clean-fid as Pillow",
  },
  metrics: {
    type: "string",
    value: "NAME,…",
    help: "which ones; all that can be measured without it, but bpd and flow_bpd",
  },
  metric: { type: "list", value: "NAME", help: "one of them; may be given more than once" },
  count: { type: "integer", alias: "n", min: 2, help: `samples; of a model ${COUNT} without it` },
  size: {
    type: "integer",
    min: 1,
    help: "bring the images of files and of the reference to this edge in pixels",
  },
  bootstrap: {
    type: "integer",
    default: 0,
    min: 0,
    help: "resample the samples so many times, for intervals of 95 %",
  },
  "batch-size": {
    type: "integer",
    min: 1,
    default: 64,
    help: "images computed at once; drawn by unCLIP and on latents one by one unless it is given",
  },
  ...modelFlags,
  ...engineFlags,
  "save-statistics": {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "keep the reference's statistics as an npz, to be a --reference",
    group: "Output",
  },
  page: {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "also write an HTML page: samples, nearest neighbors, figures over a run's checkpoints",
    group: "Output",
  },
  json: { type: "flag", help: "print the figures as JSON", group: "Output" },
} as const;

export type EvaluateValues = Values<typeof flags>;

export default command({
  name: "evaluate",
  summary: "measures samples: FID, KID, precision and recall, and more",
  usage: "SAMPLES",
  description:
    "Compares SAMPLES (a model, then it draws them; or a data set, an npz or a folder of images) " +
    "with --reference. A data set's part is named behind it: mnist#test, mnist#1/2. A model's " +
    "samples are kept in a folder as they are drawn: the same command continues after Ctrl-C. " +
    "Figures are of one kind of --features, and of as many images, or they cannot be compared.",
  examples: [
    ["evaluate digits --reference mnist -n 2000", "the bundled model"],
    ["evaluate mnist#1/2 --reference mnist#2/2", "the floor: real images against others"],
    [
      "evaluate out/ --reference photos/ --features inception.onnx --preprocess fid",
      "files, by a network of your own",
    ],
    [
      "evaluate digits -r mnist --save-statistics mnist.npz --json",
      "keep the reference's statistics",
    ],
    [
      "evaluate OWNER/NAME --prompt-file captions.txt -r photos/ --features inception.onnx",
      "a model that reads prompts",
    ],
    ["evaluate digits -r mnist#test --metric bpd -n 64", "the variational bound of its images"],
  ],
  flags,
  details,
  async run({ flags, positional: [spec = ""], given, io }) {
    const { reference } = flags;
    if (reference === undefined) {
      throw new UsageError(
        "Cannot measure without --reference: name data such as mnist, or a file",
      );
    }
    const drawn = isModel(spec);
    const unused = Object.keys(modelFlags).find((flag) => given(flag as keyof typeof modelFlags));
    if (!drawn && unused !== undefined) {
      throw new UsageError(
        `Cannot use --${unused} with ${spec}: it is images, not a model to draw from`,
      );
    }
    const metrics = await usage(() => chooseMetrics(namesOf(flags)));
    if (metrics.every(drawsNothing)) {
      return await measureLikelihood(spec, { drawn, reference, metrics, flags, given, io });
    }
    const features = await usage(() => chooseFeatures(flags.features, flags.preprocess));
    const target = await usage(() => openReference(reference, flags.size));
    checkFeatures(target, reference, features.name);
    const subject = drawn
      ? await prepareDraw(spec, flags, given, io)
      : await usage(() => openSamples(spec, flags));
    checkSizes(subject.described, target.described);
    const engine = await engineOf(flags, io);
    try {
      // The reference before the samples: what does not fit shows before hours of drawing.
      const theirs = target.saved === undefined
        ? await look(target.data, reference, features, engine, flags, io)
        : target.saved.side;
      if (flags["save-statistics"] !== undefined) {
        const { size = "", count } = target.described;
        const about = { data: reference, features: features.name, size, count };
        await saveStatistics(flags["save-statistics"], theirs, about);
        io.log(`Wrote the statistics of ${reference} to ${flags["save-statistics"]}`);
      }
      const { data, denoiser, precision } = await subject.open(engine);
      const comparison: Comparison = {
        samples: {
          described: describe(subject.described, precision),
          data,
          side: await look(data, spec, features, engine, flags, io),
        },
        reference: { ...target, side: theirs },
        denoiser,
        likelihood: denoiser && target.data && metrics.some(drawsNothing)
          ? await likelihoodOptions(
            denoiser.model,
            target.data,
            { flags, given, io },
            Math.min(IMAGES, target.data.length),
          )
          : undefined,
        features: features.name,
        distances: distancesOn(engine),
      };
      const report = await compare(comparison, metrics, {
        bootstrap: flags.bootstrap,
        signal: io.signal,
        onMetric: ({ name }) => io.detail(`Measuring ${name}`),
      });
      if (flags.page !== undefined) {
        const history = drawn ? await readHistory(findModel(spec)) : [];
        await writeAtomic(flags.page, await pageOf(comparison, report, history));
        io.log(`Wrote ${flags.page}`);
      }
      for (const warning of report.warnings) io.warn(warning);
      await io.write(flags.json ? JSON.stringify(reportJson(report), null, 2) : reportText(report));
      return 0;
    } finally {
      await engine.dispose();
    }
  },
});

/** With the precision that was settled when the engine was there. */
function describe(described: Described, precision: Settings["precision"]): Described {
  if (precision === undefined) return described;
  return { ...described, settings: { ...described.settings, precision } };
}

/** What is seen in images, with a progress bar. */
async function look(
  data: Dataset,
  name: string,
  features: ChosenFeatures,
  engine: Engine,
  flags: EvaluateValues,
  io: Io,
): Promise<Side> {
  const extractor = await features.open(engine);
  const bar = progressBar(io, data.length, `image of ${name}`);
  try {
    return await extractSide(data, {
      extractor,
      preprocess: flags.preprocess,
      batchSize: flags["batch-size"],
      signal: io.signal,
      onBatch: (done) => bar.update(done),
    });
  } finally {
    bar.stop();
    await extractor.dispose();
  }
}

/** The metrics that were asked for by either flag; nothing where neither was typed. */
function namesOf({ metrics, metric }: EvaluateValues): string[] | undefined {
  const names = [...metrics?.split(",") ?? [], ...metric].map((name) => name.trim());
  return names.length > 0 ? names : undefined;
}

/** What samples are compared with: images, or statistics that were saved of some. */
type Reference =
  & { readonly described: Described }
  & (
    | { readonly data: Dataset; readonly saved?: undefined }
    | { readonly saved: Saved; readonly data?: undefined }
  );

async function openReference(spec: string, size: number | undefined): Promise<Reference> {
  const saved = /\.npz$/i.test(spec) ? await loadStatistics(spec) : undefined;
  if (saved !== undefined) {
    const { about, side: { count } } = saved;
    const name = about === undefined ? basename(spec) : `${about.data} (${basename(spec)})`;
    return { saved, described: { name, count, size: about?.size } };
  }
  const data = await openImages(spec, { size });
  return { data, described: { name: spec, count: data.length, size: sizeText(data) } };
}

/** What is measured: described at once, opened or drawn later. */
interface Subject {
  readonly described: Described;
  open(engine: Engine): Promise<
    { readonly data: Dataset; readonly denoiser?: Denoiser } & Pick<Settings, "precision">
  >;
}

async function openSamples(spec: string, { count, size }: EvaluateValues): Promise<Subject> {
  const all = await openImages(spec, { size });
  if (count !== undefined && count > all.length) {
    throw new UsageError(`Cannot measure ${count} images of ${spec}: it has ${all.length}`);
  }
  const data = count === undefined
    ? all
    : subset(all, Uint32Array.from({ length: count }, (_, index) => index));
  const described = { name: spec, count: data.length, size: sizeText(data) };
  return { described, open: () => Promise.resolve({ data }) };
}

async function prepareDraw(
  spec: string,
  flags: EvaluateValues,
  given: (flag: keyof EvaluateValues & string) => boolean,
  io: Io,
): Promise<Subject> {
  checkScales(flags);
  const model = openModel(spec);
  const plan = await usage(() =>
    makePlan(model, {
      sampler: flags.sampler,
      guidance: given("guidance") ? flags.guidance : undefined,
      ...pathWishes(flags),
    })
  );
  const count = flags.count ?? COUNT;
  const wanted = await promptsOf(model, { ...flags, count: undefined }, undefined);
  const { texts } = wanted ?? {};
  if (texts === "stdin") {
    throw new UsageError("Cannot read prompts from stdin here: name a file of them");
  }
  const settings = await usage(() =>
    settle(model, plan, { ...flags, count }, given, undefined, texts && { texts })
  );
  const { sampler, steps, guidance, seed, rng, prompts, negative = "" } = settings;
  const batchSize = batchSizeOf(model, flags, given);
  return {
    described: {
      name: model.name,
      count,
      size: sizeText(shapeOf(model)),
      settings: {
        sampler,
        steps,
        guidance,
        seed: String(seed),
        rng,
        ...prompts && { prompts: prompts.length === 1 ? prompts : prompts.length },
      },
    },
    async open(engine) {
      const { precision, ...layers } = await precisionOf(model, engine, flags, io);
      const denoiser = loadDenoiser(model, engine, flags["cfg-batch"], layers);
      const encoder = model.text && loadEncoder(model.text, engine, settings.clipSkip);
      const run = {
        plan,
        settings: { ...settings, precision },
        batchSize,
        ...encoder && {
          ask: (texts: readonly string[]) =>
            askByText(denoiser, encoder, { texts, negative }, warnOfCuts(io)),
        },
      };
      const key = await runKey(denoiser, run);
      const folder = flags.out ?? join("runs", "evaluate", `${model.name}-${key}`);
      await claimFolder(folder, key);
      io.log(`Drawing into ${folder}`);
      const bar = progressBar(io, count, "sample");
      try {
        const data = await drawInto(folder, denoiser, {
          ...run,
          signal: io.signal,
          onStep: (done, steps) => bar.update(Math.floor(done / steps * count)),
        });
        return { data, denoiser, precision };
      } finally {
        bar.stop();
      }
    },
  };
}

/** Sees that a folder holds the samples of this run, or none yet. */
async function claimFolder(folder: string, key: string): Promise<void> {
  const path = join(folder, "run.json");
  if (await exists(path)) {
    const { key: there } = JSON.parse(await Deno.readTextFile(path));
    if (there === key) return;
    throw new UsageError(
      `Cannot keep samples in ${folder}: it holds those of another model or of other settings; choose another --out`,
    );
  }
  await writeAtomic(path, JSON.stringify({ key }) + "\n");
}

function checkSizes(samples: Described, reference: Described): void {
  if (reference.size === undefined || samples.size === reference.size) return;
  throw new UsageError(
    `Cannot compare samples of ${samples.size} with a reference of ${reference.size}: --size brings both to one size, and figures then are of that size`,
  );
}

/** Statistics say with which features they were made, those of other tools excepted. */
function checkFeatures({ saved }: Reference, name: string, features: string): void {
  if (saved?.about === undefined || saved.about.features === features) return;
  throw new UsageError(
    `Cannot use ${name}: it holds statistics of features ${saved.about.features}, the samples are seen with ${features}`,
  );
}
