/**
 * Samples of a model for an evaluation, kept in files as they are drawn: an interrupted run goes on
 * where it stopped, and a longer one goes on from a shorter one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { exists } from "@std/fs";
import { writeAtomic } from "../images/atomic.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import { drawBatches, type Drawn } from "../pipeline/draw.ts";
import type { Weights } from "../models/weights.ts";
import { isThere } from "../pipeline/files.ts";
import { edgeOf, type Model } from "../pipeline/model.ts";
import type { Plan } from "../pipeline/plan.ts";
import { labelOf, type Settings } from "../pipeline/settings.ts";
import type { AskedByText } from "../pipeline/text.ts";
import type { Dataset } from "../training/data/mod.ts";
import { encodeNpz, openNpz } from "../training/data/npz.ts";

/** A run that is to be measured. */
export interface SampledRun {
  readonly plan: Plan;
  readonly settings: Settings;
  /** Images drawn at once and kept in one file. */
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
  /** Asks by texts, of models that read such. */
  ask?(texts: readonly string[]): Promise<Pick<AskedByText, "denoiser" | "dispose">>;
  /** After each step of each batch that is drawn, with the steps made and to make. */
  onStep?(done: number, total: number): void;
}

/** What images depend on besides their number; another count of them continues the same run. */
export async function runKey(
  { model, engine, scales }: Denoiser,
  run: SampledRun,
): Promise<string> {
  const { count: _, ...settings } = run.settings;
  const { unet, classifier, autoencoder, text: encoder, unclip } = model;
  const { prior, projection, superResolution: { first, last } = {} } = unclip ?? {};
  const networks = {
    weights: unet,
    classifier,
    autoencoder,
    encoder,
    prior,
    projection,
    first,
    last,
  };
  const digests: Record<string, string> = {};
  for (const [name, part] of Object.entries(networks)) {
    if (part !== undefined) digests[name] = await weightsDigest(part.weights);
  }
  const text = JSON.stringify({
    ...settings,
    seed: String(settings.seed),
    batchSize: run.batchSize,
    engine: engine.name,
    scheduler: model.scheduler,
    ...digests,
    scales: scales?.map(({ below, scales }) => [below, ...scales]),
    code: await codeDigests(run.plan),
  });
  return (await sha256(new TextEncoder().encode(text))).slice(0, 12);
}

/** Digests that were made already: checkpoints are large, and a sweep asks for one in every cell. */
const known = new WeakMap<Weights, Promise<string>>();

/** A digest of a checkpoint's files; of weights that are in none, nothing. */
function weightsDigest(weights: Weights): Promise<string> {
  const paths = new Set([...weights.values()].flatMap(({ file }) => file ? [file.path] : []));
  const digest = known.get(weights) ?? fileDigests([...paths]);
  known.set(weights, digest);
  return digest;
}

/** A digest of the files that plugins come from or read: an edited one draws other images. */
function codeDigests({ sampler, guidances }: Plan): Promise<string> {
  const named = [sampler, ...guidances]
    .flatMap(({ source, options }) => [source, `${options["file"] ?? ""}`]);
  return fileDigests(named.filter((path) => /\.[cm]?[jt]s$/.test(path) && isThere(path)));
}

async function fileDigests(paths: readonly string[]): Promise<string> {
  const digests: string[] = [];
  for (const path of paths) {
    const hash = createHash("sha256"); // of pieces: checkpoints may be larger than memory
    const file = await Deno.open(path);
    for await (const piece of file.readable) hash.update(piece);
    digests.push(hash.digest("hex"));
  }
  return digests.join();
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Draws what is not yet in the folder, one npz file a batch (`arr_0` images, `arr_1` classes), and
 * gives all of it as a data set.
 *
 * @throws What {@linkcode drawBatches} throws, and the signal's reason.
 */
export async function drawInto(
  folder: string,
  denoiser: Denoiser,
  run: SampledRun,
): Promise<Dataset> {
  const { plan, settings, batchSize, signal, onStep } = run;
  const { model } = denoiser;
  const steps = plan.levels.length - 1;
  const files = Array.from({ length: Math.ceil(settings.count / batchSize) }, (_, number) => {
    const first = number * batchSize;
    const end = Math.min(settings.count, first + batchSize);
    return { first, end, path: join(folder, `${pad(first)}-${pad(end)}.npz`) };
  });
  for (const [number, { first, end, path }] of files.entries()) {
    onStep?.(number * steps, files.length * steps);
    if (await exists(path)) continue;
    const texts = () =>
      Array.from({ length: end - first }, (_, i) => labelOf(settings, first + i) ?? "");
    const asked = await run.ask?.(texts());
    try {
      const batches = drawBatches(asked?.denoiser ?? denoiser, {
        plan,
        settings,
        first,
        end,
        batchSize,
        signal,
        onStep: ({ step }) => onStep?.(number * steps + step, files.length * steps),
      });
      for await (const batch of batches) await keep(path, batch, run, denoiser);
    } finally {
      asked?.dispose();
    }
  }
  const labelled = settings.classes.some((name) => name !== "none");
  let open: { readonly number: number; readonly data: Dataset } | undefined; // one file in memory
  const fileData = async (number: number): Promise<Dataset> => {
    if (open?.number !== number) open = { number, data: await openNpz(files[number]?.path ?? "") };
    return open.data;
  };
  return {
    length: settings.count,
    ...shapeOf(model),
    labels: labelled ? model.labels : [],
    async batch(indices) {
      const parts: Float32Array[] = [];
      for (const index of indices) {
        const data = await fileData(Math.floor(index / batchSize));
        parts.push((await data.batch([index % batchSize])).images);
      }
      const span = parts[0]?.length ?? 0;
      const images = new Float32Array(parts.length * span);
      parts.forEach((part, i) => images.set(part, i * span));
      return { images, labels: Int32Array.from(indices, (index) => classOf(run, denoiser, index)) };
    },
  };
}

/** How large a model's images are. */
export function shapeOf(model: Model): Pick<Dataset, "height" | "width" | "channels"> {
  const edge = edgeOf(model);
  return { height: edge, width: edge, channels: model.unet.inChannels === 1 ? 1 : 3 };
}

/** Writes images and, where all have one, their classes. */
async function keep(
  path: string,
  { bitmaps, indices }: Drawn,
  run: SampledRun,
  denoiser: Denoiser,
): Promise<void> {
  const { height = 0, width = 0, channels = 1 } = bitmaps[0] ?? {};
  const data = new Uint8Array(bitmaps.length * height * width * channels);
  bitmaps.forEach(({ pixels }, i) => data.set(pixels, i * pixels.length));
  const labels = Int32Array.from(indices, (index) => classOf(run, denoiser, index));
  const labelled = labels.every((label) => label >= 0);
  await writeAtomic(
    path,
    encodeNpz({
      arr_0: { shape: [bitmaps.length, height, width, channels], data },
      ...labelled ? { arr_1: { shape: [labels.length], data: labels } } : {},
    }),
  );
}

const pad = (index: number) => String(index).padStart(6, "0");

/** The class that an image was asked to show, -1 for none. */
function classOf(
  { settings: { classes } }: SampledRun,
  { model }: Denoiser,
  index: number,
): number {
  return model.labels.indexOf(classes[index % classes.length] ?? "none");
}
