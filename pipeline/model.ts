/**
 * Model folders in the layout of diffusers: `unet/`, `scheduler/`, and of our own `classifier/`,
 * `labels.json` and `sampling.json`.
 *
 * @module
 */
import { basename, dirname, extname, fromFileUrl, join, resolve } from "@std/path";
import { formatRepository, parseRepository } from "../hub/cache.ts";
import { findPulled } from "../hub/pull.ts";
import { hubOf } from "../hub/settings.ts";
import { nearest } from "../plugins/nearest.ts";
import { writeAtomic } from "../images/atomic.ts";
import { readJson, readJsonValue } from "../models/config.ts";
import { type EncoderUNetConfig, parseEncoderUNetConfig } from "../models/encoder_unet.ts";
import { renameLegacy } from "../models/formats/legacy_names.ts";
import { isWeightsFile, readWeights } from "../models/formats/open.ts";
import { encodeSafetensors, type NewTensor } from "../models/safetensors.ts";
import type { UNet2DConfig } from "../models/unet_2d.ts";
import { chooseWeights } from "../models/weight_files.ts";
import type { Weights } from "../models/weights.ts";
import { type SchedulerConfig, withDefaults } from "../schedules/mod.ts";
import {
  type Autoencoder,
  autoencoderOf,
  latentChannels,
  latentFactor,
  openAutoencoder,
} from "./autoencoder.ts";
import { besideOf } from "./beside.ts";
import { isThere } from "./files.ts";
import { convertCompVis, isCompVis } from "./converted.ts";
import { describeClassifierFile, inFile, openCheckpoint } from "./openai.ts";
import { openText, type TextEncoder, textOf } from "./text.ts";
import { checkParts, openUnClip, toldDecoder, type UnClip, UNCLIP_DEFAULTS } from "./unclip.ts";
import { openUNet, type UNet, unetOf } from "./unet.ts";

/** A network of a model: its configuration and its weights. */
export interface Part<C> {
  readonly config: C;
  readonly weights: Weights;
  /** The folder that it was read from. */
  readonly folder: string;
}

/** How a model is best sampled, where its maker says so. */
export interface Recommended {
  readonly sampler?: string | undefined;
  readonly steps?: number | undefined;
  readonly guidance?: readonly string[] | undefined;
  readonly spacing?: string | undefined;
}

/** A model as it lies on disk. */
export interface Model {
  /** What people call it: the last part of its path. */
  readonly name: string;
  readonly folder: string;
  /** The class of diffusers' pipeline, such as `StableDiffusionPipeline`, where an index says it. */
  readonly pipeline?: string | undefined;
  readonly unet: UNet;
  /** What turns latents into pixels, where the UNet works on such. */
  readonly autoencoder?: Autoencoder | undefined;
  /** What reads prompts, where the UNet takes such. */
  readonly text?: TextEncoder | undefined;
  /** What stands around the UNet where that is a decoder of unCLIP. */
  readonly unclip?: UnClip | undefined;
  readonly scheduler: SchedulerConfig;
  /** How a small image that the network is shown is noised, where it is told so. */
  readonly lowRes?: SchedulerConfig | undefined;
  readonly classifier?: Part<EncoderUNetConfig> | undefined;
  /** Names of classes by index, without the null class; empty where the model has none. */
  readonly labels: readonly string[];
  /** The class that stands for no class, where the model was trained with one. */
  readonly nullClass?: number | undefined;
  readonly recommended: Recommended;
}

/** Height and width of a model's images in pixels; 32 where its configuration does not say. */
export function edgeOf(model: Pick<Model, "unet" | "autoencoder" | "unclip">): number {
  return (model.unet.edge ?? 32) * factorOf(model);
}

/**
 * Pixels along the side of one of what a sampler moves: 1, or more where those are latents or a small
 * image.
 */
export function factorOf({ autoencoder, unclip }: Pick<Model, "autoencoder" | "unclip">): number {
  return unclip?.superResolution.factor ?? (autoencoder ? latentFactor(autoencoder) : 1);
}

/** The channels of what a sampler moves: pixels or latents. */
export function channelsOf({ unet, autoencoder }: Pick<Model, "unet" | "autoencoder">): number {
  return autoencoder ? latentChannels(autoencoder) : unet.inChannels - unet.beside;
}

/** The channels of a model's pixels, which opening it has checked. */
export function pixelChannels(model: Pick<Model, "unet" | "autoencoder">): 1 | 3 {
  const channels = model.autoencoder?.config.out_channels ?? channelsOf(model);
  return channels === 1 ? 1 : 3;
}

/** Whether a second half of the network's channels holds the variance. */
export function learnsVariance(model: Pick<Model, "unet" | "autoencoder">): boolean {
  return model.unet.outChannels === 2 * channelsOf(model);
}

const WEIGHTS = new URL("../weights/", import.meta.url);
const UNET_FILE = "diffusion_pytorch_model.safetensors";
const CLASSIFIER_FILE = "model.safetensors";

/** Folders of the network that a sampler asks. */
const NETWORKS = ["unet", "decoder"] as const;

/** The names of the bundled models. */
export function bundledModels(): string[] {
  const folder = fromFileUrl(WEIGHTS);
  if (!isThere(folder)) return [];
  return [...Deno.readDirSync(folder)].filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => name).sort();
}

/**
 * The folder of a model: a bundled name, a path, or OWNER/NAME in the hub's cache.
 *
 * @throws {Deno.errors.NotFound} Where there is none.
 */
export function findModel(spec: string): string {
  if (/^[\w-]+$/.test(spec)) {
    const bundled = fromFileUrl(new URL(spec, WEIGHTS));
    if (isThere(bundled)) return bundled;
  }
  if (isThere(spec)) return resolve(spec);
  const repository = parseRepository(spec);
  const pulled = repository && findPulled(hubOf(), repository);
  if (pulled !== undefined) return pulled;
  const names = bundledModels();
  const near = nearest(spec, names);
  const bundled = `the bundled ${names.length === 1 ? "model is" : "models are"} ${
    names.join(", ")
  }`;
  throw new Deno.errors.NotFound(
    `Cannot find the model "${spec}": ${
      near !== undefined
        ? `did you mean ${near}?`
        : repository === undefined
        ? `it is no folder, and ${bundled}`
        : `it is no folder, and not in the hub's cache; denoise pull ${spec} downloads it`
    }`,
  );
}

/** What people call a model: its name on the hub, or the last part of its path. */
function nameOf(spec: string, folder: string): string {
  const repository = isThere(spec) ? undefined : parseRepository(spec);
  return repository === undefined ? basename(folder) : formatRepository(repository);
}

/** Whether a text names a model: a bundled one, or a folder of a UNet. */
export function isModel(spec: string): boolean {
  const repository = isThere(spec) ? undefined : parseRepository(spec);
  if (repository !== undefined && findPulled(hubOf(), repository) !== undefined) return true;
  if (isWeightsFile(spec) && isThere(spec)) return true;
  return bundledModels().includes(spec) ||
    NETWORKS.some((name) => isThere(join(spec, name, "config.json"))) ||
    isThere(join(spec, UNET_FILE));
}

/**
 * The weights of a folder; only their headers are read.
 *
 * @param variant The variant to prefer, such as `fp16`.
 * @throws {Deno.errors.NotFound} Where it holds none.
 */
export function openWeights(folder: string, variant?: string): Weights {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  const chosen = chooseWeights(names, variant);
  if (chosen === undefined) {
    throw new Deno.errors.NotFound(
      `Cannot find the weights of "${folder}": the folder holds no ${UNET_FILE}, nor another file of weights that diffusers or transformers write`,
    );
  }
  const { index, files } = chosen;
  const opened = (index === undefined ? files : [index])
    .flatMap((name) => [...readWeights(join(folder, name))]);
  return renameLegacy(new Map(opened));
}

/**
 * Opens a classifier, which reads noisy images or clean ones.
 *
 * @param path A folder, or a file as guided-diffusion saves it.
 */
export function openClassifier(
  path: string,
  { modelFlags, edge }: { readonly modelFlags?: string | undefined; readonly edge?: number } = {},
): Part<EncoderUNetConfig> {
  return isWeightsFile(path)
    ? openClassifierFile(path, modelFlags, edge)
    : openClassifierFolder(path);
}

function openClassifierFile(
  path: string,
  modelFlags: string | undefined,
  edge: number | undefined,
): Part<EncoderUNetConfig> {
  const weights = readWeights(path);
  const config = describeClassifierFile(path, weights, modelFlags, edge);
  return { folder: dirname(path), config, weights };
}

function openClassifierFolder(folder: string): Part<EncoderUNetConfig> {
  const path = join(folder, "config.json");
  const config = parseEncoderUNetConfig(readJson(path), path);
  return { folder, config, weights: openWeights(folder) };
}

function readList(path: string): string[] {
  const value = isThere(path) ? readJsonValue(path) : [];
  if (!Array.isArray(value) || !value.every((label) => typeof label === "string")) {
    throw new TypeError(`Cannot use "${path}": it must be a list of class names`);
  }
  return value;
}

/** The class names of a network, one for each of its classes but a null class. */
function readLabels(path: string, { classes: embeds }: UNet): string[] {
  const names = readList(path);
  if (names.length === 0 || embeds === null) {
    return Array.from({ length: embeds ?? 0 }, (_, index) => String(index));
  }
  if (names.length === embeds || names.length === embeds - 1) return names;
  throw new TypeError(
    `Cannot use "${path}": it has ${names.length} names, the network has ${embeds} classes; there must be as many, or one less where the last class stands for none`,
  );
}

/** Checks what a model recommends for its sampling, beside what goes without saying. */
function readRecommended(path: string, own: Recommended): Recommended {
  if (!isThere(path)) return own;
  const { sampler, steps, guidance, spacing } = { ...own, ...readJson(path) };
  const fail = (key: string, wanted: string) =>
    new TypeError(`Cannot use "${path}": ${key} must be ${wanted}`);
  const isText = (value: unknown) => value === undefined || typeof value === "string";
  if (!isText(sampler)) throw fail("sampler", "a text such as ddim,eta=0.5");
  if (!isText(spacing)) throw fail("spacing", "a text such as trailing");
  if (steps !== undefined && !(Number.isSafeInteger(steps) && Number(steps) >= 1)) {
    throw fail("steps", "an integer of at least 1");
  }
  if (guidance !== undefined && !(Array.isArray(guidance) && guidance.every(isText))) {
    throw fail("guidance", "a list of texts such as cfg,scale=2");
  }
  // Each field was checked above.
  return { sampler, steps, guidance, spacing } as Recommended;
}

/** Refuses a network that does not fit what its sampler moves. */
function checkChannels(model: Pick<Model, "unet" | "autoencoder">): void {
  const { inChannels: into, outChannels: out, folder } = model.unet;
  const channels = channelsOf(model);
  const path = join(folder, "config.json");
  if (model.autoencoder === undefined && channels !== 1 && channels !== 3) {
    throw new TypeError(`Cannot use "${path}": in_channels is ${channels}, images have 1 or 3`);
  }
  if (besideOf(model) === undefined) {
    throw new TypeError(
      `Cannot use "${path}": in_channels is ${into}, and its latents have ${channels}; only a small image or a masked one goes beside them`,
    );
  }
  if (out !== channels && out !== 2 * channels) {
    throw new TypeError(
      `Cannot use "${path}": out_channels is ${out}, it must be ${channels}, or ${
        2 * channels
      } where the variance is learned`,
    );
  }
}

/** How a model is opened. */
export interface OpenOptions {
  /** The variant of the weights to prefer where a folder has several, such as `fp16`. */
  readonly variant?: string | undefined;
  /** What a file of weights does not say, as on guided-diffusion's command lines. */
  readonly modelFlags?: string | undefined;
  /** A classifier in place of the model's own: a folder, or a file of weights. */
  readonly classifier?: string | undefined;
  /** The folder of the tokenizer of Stable Diffusion in one file; else `tokenizer/` beside it. */
  readonly tokenizer?: string | undefined;
  /** What Stable Diffusion 2 in one file predicts. */
  readonly prediction?: "epsilon" | "v_prediction" | undefined;
}

/**
 * Opens a model; of its weights only the headers are read.
 *
 * @param spec a bundled name, a folder, a file of weights or OWNER/NAME in the hub's cache; a folder
 * with a bare UNet is a model, too.
 * @throws {Deno.errors.NotFound} Where a file is missing.
 * @throws {TypeError} Where a configuration does not fit.
 */
export function openModel(spec: string, options: OpenOptions = {}): Model {
  const { variant, modelFlags, classifier } = options;
  const folder = findModel(spec);
  if (isWeightsFile(folder)) return openFile(folder, options);
  const { tokenizer, prediction } = options;
  const unused = Object.entries({ "model-flags": modelFlags, tokenizer, prediction })
    .find(([, value]) => value !== undefined);
  if (unused !== undefined) {
    throw new TypeError(
      `Cannot use --${
        unused[0]
      } with "${spec}": it goes with a file of weights, a folder says what it is`,
    );
  }
  const nested = NETWORKS.find((name) => isThere(join(folder, name)));
  if (nested === undefined && !isThere(join(folder, "config.json"))) {
    throw new Deno.errors.NotFound(
      `Cannot use "${folder}" as a model: it has neither a folder unet/ nor a config.json`,
    );
  }
  const weightsOf = (folder: string) => openWeights(folder, variant);
  const indexPath = join(folder, "model_index.json");
  const pipeline = isThere(indexPath) ? readJson(indexPath)["_class_name"] : undefined;
  const decodes = nested === "decoder";
  if (decodes) checkParts(folder, pipeline);
  const unet = openUNet(join(folder, nested ?? ""), weightsOf);
  const latents = ["vae", "vqvae"].map((part) => join(folder, part)).find(isThere);
  const autoencoder = latents === undefined ? undefined : openAutoencoder(latents, weightsOf);
  const schedulerPath = join(
    folder,
    decodes ? "decoder_scheduler" : nested === undefined ? "" : "scheduler",
    "scheduler_config.json",
  );
  const own = isThere(schedulerPath) ? readJson(schedulerPath) : { _class_name: "DDPMScheduler" };
  const text = isThere(join(folder, "text_encoder")) ? openText(folder, weightsOf) : undefined;
  const unclip = decodes ? openUnClip(folder, { unet, text }, weightsOf) : undefined;
  const lowResPath = join(folder, "low_res_scheduler", "scheduler_config.json");
  const classifierFolder = classifier ?? join(folder, "classifier");
  checkChannels({ unet, autoencoder });
  const labels = readLabels(join(folder, "labels.json"), unet);
  const { classes } = unet;
  return {
    name: nameOf(spec, folder),
    folder,
    ...(typeof pipeline === "string" && { pipeline }),
    unet: unclip && text ? toldDecoder(unet, unclip, text) : unet,
    autoencoder,
    text,
    unclip,
    lowRes: isThere(lowResPath) ? readJson(lowResPath) : undefined,
    scheduler: text === undefined || unclip !== undefined ? own : stableScheduler(own),
    // A classifier whose training has just begun has no configuration yet.
    classifier: classifier !== undefined || isThere(join(classifierFolder, "config.json"))
      ? openClassifier(classifierFolder)
      : undefined,
    labels,
    nullClass: classes !== null && classes > labels.length ? labels.length : undefined,
    recommended: readRecommended(
      join(folder, "sampling.json"),
      decodes ? UNCLIP_DEFAULTS.decoder : {},
    ),
  };
}

/**
 * The scheduler of a pipeline that reads prompts. Early files of Stable Diffusion say a clipping and an
 * offset that it was never run with.
 */
function stableScheduler(config: SchedulerConfig): SchedulerConfig {
  const values = withDefaults(config);
  return {
    ...config,
    ...("steps_offset" in values && { steps_offset: 1 }),
    ...("clip_sample" in values && { clip_sample: false }),
  };
}

/** Opens a file of CompVis' latent diffusion, Stable Diffusion's among them. */
function openCompVis(path: string, weights: Weights, options: OpenOptions): Model {
  const folder = dirname(path);
  const { files, networks } = inFile(path, () => convertCompVis(weights, options));
  const find = (...names: readonly string[]) => networks.find((it) => names.includes(it.folder));
  const [unet, latents, words] = [find("unet"), find("vae", "vqvae"), find("text_encoder")];
  // Made there.
  const scheduler = files["scheduler/scheduler_config.json"] as SchedulerConfig;
  const lowRes = files["low_res_scheduler/scheduler_config.json"] as SchedulerConfig | undefined;
  if (unet === undefined || latents === undefined) throw new TypeError(`"${path}" has no UNet`);
  const tokenizer = options.tokenizer ?? join(folder, "tokenizer");
  if (words !== undefined && !isThere(tokenizer)) {
    throw new Deno.errors.NotFound(
      `Cannot use "${path}": such files hold no tokenizer; give one with --tokenizer, or put it into "${tokenizer}"`,
    );
  }
  const opened = {
    unet: unetOf(unet.config ?? {}, path, { folder, weights: unet.weights }),
    autoencoder: autoencoderOf(latents.config ?? {}, path, { folder, weights: latents.weights }),
  };
  checkChannels(opened);
  return {
    ...opened,
    name: basename(path, extname(path)),
    folder,
    pipeline: String((files["model_index.json"] as Record<string, unknown>)["_class_name"]),
    text: words && textOf(words.config ?? {}, path, { folder, weights: words.weights, tokenizer }),
    lowRes,
    scheduler,
    labels: [],
    recommended: {},
  };
}

/** Opens a model in one file. */
function openFile(path: string, options: OpenOptions): Model {
  const { modelFlags, classifier, tokenizer, prediction } = options;
  const weights = readWeights(path);
  if (isCompVis(weights)) {
    if (classifier === undefined) return openCompVis(path, weights, options);
    throw new TypeError(`Cannot use a classifier with "${path}": it would have to read latents`);
  }
  const unused = tokenizer === undefined ? prediction && "prediction" : "tokenizer";
  if (unused !== undefined) {
    throw new TypeError(`Cannot use --${unused} with "${path}": it is no Stable Diffusion`);
  }
  const opened = openCheckpoint(path, weights, modelFlags);
  const { unet, scheduler, spacing, sampler, classifierScale } = opened;
  checkChannels({ unet });
  const guidance = classifier === undefined ? [] : [`classifier,scale=${classifierScale}`];
  return {
    name: basename(path, extname(path)),
    folder: dirname(path),
    unet,
    scheduler,
    classifier: classifier === undefined
      ? undefined
      : openClassifier(classifier, { modelFlags, edge: unet.edge ?? 0 }),
    labels: readLabels(join(dirname(path), "labels.json"), unet),
    recommended: { sampler, spacing, guidance },
  };
}

const toJson = (value: unknown) => JSON.stringify(value, null, 2) + "\n";

/** Writes a UNet with its scheduler and labels as a folder that diffusers loads too. */
export async function saveModel(
  folder: string,
  parts: {
    readonly config: UNet2DConfig;
    readonly tensors: ReadonlyMap<string, NewTensor>;
    readonly scheduler: SchedulerConfig;
    readonly labels: readonly string[];
  },
): Promise<void> {
  const { config, tensors, scheduler, labels } = parts;
  const index = {
    _class_name: String(scheduler["_class_name"]).replace("Scheduler", "Pipeline"),
    scheduler: ["diffusers", scheduler["_class_name"]],
    unet: ["diffusers", "UNet2DModel"],
  };
  const unet = { _class_name: "UNet2DModel", ...config };
  await writeAtomic(join(folder, "model_index.json"), toJson(index));
  await writeAtomic(join(folder, "scheduler", "scheduler_config.json"), toJson(scheduler));
  if (labels.length > 0) await writeAtomic(join(folder, "labels.json"), toJson(labels));
  await writeAtomic(join(folder, "unet", "config.json"), toJson(unet));
  await writeAtomic(join(folder, "unet", UNET_FILE), encodeSafetensors(tensors));
}

/** Writes a classifier as a folder, such as the `classifier/` of a model. */
export async function saveClassifier(
  folder: string,
  config: EncoderUNetConfig,
  tensors: ReadonlyMap<string, NewTensor>,
  dtype: "F32" | "F16" = "F32",
): Promise<void> {
  const values = { _class: "EncoderUNetModel", ...config };
  await writeAtomic(join(folder, "config.json"), toJson(values));
  await writeAtomic(join(folder, CLASSIFIER_FILE), encodeSafetensors(tensors, dtype));
}
