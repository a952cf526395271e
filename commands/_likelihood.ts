/** `evaluate` where only likelihoods are asked for: nothing is drawn, no features are extracted. */
import { distancesOn } from "../evaluation/algebra/distances.ts";
import type { BoundOptions } from "../evaluation/bits_per_dimension.ts";
import { measure } from "../evaluation/evaluate.ts";
import { openImages, sizeText } from "../evaluation/images.ts";
import { type Metric, sideOf } from "../evaluation/metric.ts";
import { figuresJson, figuresText } from "../evaluation/report.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { edgeOf, factorOf, type Model, openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";
import type { Dataset } from "../training/data/mod.ts";
import { usage, UsageError } from "./_command.ts";
import type { EvaluateValues } from "./evaluate.ts";
import { engineOf } from "./_engine.ts";
import type { Io } from "./_io.ts";
import { type Progress, progressBar } from "./_progress.ts";

/** Images whose likelihood is measured unless told otherwise: each takes a thousand network calls. */
export const IMAGES = 64;

/** What was typed. */
interface Typed {
  readonly flags: EvaluateValues;
  readonly given: (flag: keyof EvaluateValues & string) => boolean;
  readonly io: Io;
}

/** What has no use where nothing is drawn. */
const DRAWING = [
  "features",
  "preprocess",
  "bootstrap",
  "class",
  "prompt",
  "prompt-file",
  "negative",
  "clip-skip",
  "guidance",
  "unconditional",
  "rng",
  "spacing",
  "cfg-batch",
  "precision",
  "scales",
  "out",
  "save-statistics",
] as const;

/** Measures the likelihood of a reference under a model; resolves to the exit status. */
export async function measureLikelihood(
  spec: string,
  { drawn, reference, metrics, ...typed }: Typed & {
    readonly drawn: boolean;
    readonly reference: string;
    readonly metrics: readonly Metric[];
  },
): Promise<number> {
  const { flags, given, io } = typed;
  const names = metrics.map(({ name }) => name).join(" and ");
  if (!drawn) throw new UsageError(`Cannot measure ${names} of ${spec}: it is images, not a model`);
  const unused = DRAWING.find((flag) => given(flag));
  if (unused !== undefined) {
    throw new UsageError(`Cannot use --${unused} with ${names}: nothing is drawn`);
  }
  const model = openModel(spec);
  const data = await usage(() => openImages(reference, { size: flags.size ?? edgeOf(model) }));
  const likelihood = await likelihoodOptions(model, data, typed);
  let bar: Progress | undefined;
  const engine = await engineOf(flags, io);
  try {
    const none = sideOf({ count: likelihood.count });
    const measured = await measure(
      {
        samples: none,
        reference: none,
        distances: distancesOn(engine),
        data,
        denoiser: loadDenoiser(model, engine),
        likelihood: {
          ...likelihood,
          onProgress: (share) => bar?.update(Math.floor(100 * share)),
        },
      },
      metrics,
      {
        signal: io.signal,
        onMetric({ name }) {
          bar?.stop();
          bar = progressBar(io, 100, `percent of ${name}`);
        },
      },
    );
    bar?.stop();
    const about = { model: model.name, reference, size: sizeText(data), count: likelihood.count };
    await io.write(
      flags.json ? JSON.stringify({ ...about, ...figuresJson(measured) }, null, 2) : [
        `model      ${about.model}`,
        `reference  ${reference}, its first ${about.count} images of ${about.size}`,
        "",
        figuresText(measured, about.count),
      ].join("\n"),
    );
    return 0;
  } finally {
    bar?.stop();
    await engine.dispose();
  }
}

/**
 * How likelihoods are measured.
 *
 * @param most images at most, where the count that was typed is that of samples.
 * @throws {UsageError} Where the images are too few, or a sampler was typed that has no bound.
 */
export async function likelihoodOptions(
  model: Model,
  data: Dataset,
  { flags, given, io }: Typed,
  most = Infinity,
): Promise<BoundOptions> {
  if (model.text !== undefined || factorOf(model) > 1) {
    throw new UsageError(
      `Cannot measure the likelihood of images under ${model.name}: it is that of ${
        model.text === undefined ? "its latents" : "images given a text"
      }`,
    );
  }
  const count = Math.min(flags.count ?? Math.min(IMAGES, data.length), most);
  if (count > data.length) {
    throw new UsageError(`Cannot measure ${count} images: the reference has ${data.length}`);
  }
  const plan = await usage(() => makePlan(model, { sampler: flags.sampler, guidance: [] }));
  const { plugin, options } = plan.sampler;
  const variance = String(options["variance"]);
  const fixed = variance === "small" || variance === "large" ? variance : undefined;
  if (given("sampler") && plugin.name !== "ddpm") {
    throw new UsageError(
      `Cannot measure the bound of ${plugin.name}: it is that of ddpm's chain, as in --sampler ddpm,variance=large`,
    );
  }
  const seed = Number(flags.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new UsageError(`Cannot use --seed ${flags.seed}: here it must be an integer from 0 on`);
  }
  return {
    count,
    batchSize: flags["batch-size"],
    seed,
    steps: given("steps") ? flags.steps : undefined,
    variance: given("sampler") ? fixed : undefined,
    signal: io.signal,
  };
}
