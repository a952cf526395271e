/**
 * Runs a pipeline's folder from the seeds that the original software had.
 *
 * @module
 */
import * as tf from "tfjs";
import { type Edit, makeEdit } from "../editing/edit.ts";
import type { Engine } from "../engines/engine.ts";
import { toBitmaps } from "../images/pixels.ts";
import { imageNoise } from "../noise/mod.ts";
import type { StoredTensor } from "../models/weights.ts";
import { besideOf, type Given } from "../pipeline/beside.ts";
import type { Pixels } from "../pipeline/codec.ts";
import { type Denoiser, loadDenoiser } from "../pipeline/denoiser.ts";
import { drawBatches } from "../pipeline/draw.ts";
import { type Model, openModel } from "../pipeline/model.ts";
import { makePlan, type Plan, specOf, type Wishes } from "../pipeline/plan.ts";
import { type Settings, sizeOf } from "../pipeline/settings.ts";
import { askByText, loadEncoder } from "../pipeline/text.ts";
import type { Images } from "../plugin.ts";
import type { Measure } from "./compare.ts";
import type { Found, Recorded } from "./mod.ts";

/** What the file says of a run, checked. */
interface Run {
  /** One generator an image. */
  readonly seeds: readonly number[];
  readonly steps: number;
  readonly eta?: number | undefined;
  /** One text for all images. */
  readonly prompt: string;
  readonly negative: string;
  readonly scale?: number | undefined;
  /** What an unCLIP draws before and behind x. */
  readonly around: Pick<Wishes, "priorSteps" | "priorScale" | "superResSteps">;
  /** Pixels, where they are not the model's own. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** The share of the path that a picture goes down. */
  readonly strength?: number | undefined;
  /** A picture that the network is shown, or that the run begins with. */
  readonly init?: Pixels | undefined;
  readonly given: Omit<Given, "shown">;
}

function readRun(
  values: Readonly<Record<string, unknown>>,
  folder: string,
  recorded: Recorded,
): Run {
  const read = <T>(key: string, wanted: string, fits: (value: unknown) => value is T): T => {
    const value = values[key];
    if (fits(value)) return value;
    throw new TypeError(
      `Cannot verify "${folder}": ${key} of the run is ${
        JSON.stringify(value)
      }, it must be ${wanted}`,
    );
  };
  const isCount = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 0;
  const optional =
    <T>(fits: (value: unknown) => value is T) => (value: unknown): value is T | undefined =>
      value === undefined || fits(value);
  const isText = optional((value): value is string => typeof value === "string");
  const isNumber = optional((value): value is number => Number.isFinite(value));
  const isList = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length > 0 && value.every(isCount);
  // Of unCLIP's three runs the decoder's is the one that others have.
  const own = (key: string) => values[`decoder_${key}`] === undefined ? key : `decoder_${key}`;
  const isSteps = optional(isCount);
  return {
    seeds: values["seeds"] === undefined
      ? [read("seed", "an integer", isCount)]
      : read("seeds", "a list of integers", isList),
    steps: read(own("num_inference_steps"), "an integer", isCount),
    eta: read("eta", "a number", isNumber),
    prompt: read("prompt", "a text", isText) ?? "",
    negative: read("negative_prompt", "a text", isText) ?? "",
    scale: read(own("guidance_scale"), "a number", isNumber),
    around: {
      priorSteps: read("prior_num_inference_steps", "an integer", isSteps),
      priorScale: read("prior_guidance_scale", "a number", isNumber),
      superResSteps: read("super_res_num_inference_steps", "an integer", isSteps),
    },
    width: read("width", "a number", isNumber),
    height: read("height", "a number", isNumber),
    strength: read("strength", "a number", isNumber),
    init: bytesOf(recorded.get("init"), (byte) => byte / 127.5 - 1),
    given: {
      mask: bytesOf(recorded.get("mask"), (byte) => byte >= 128 ? 1 : 0),
      noiseLevel: read("noise_level", "a number", isNumber),
    },
  };
}

/** A picture of bytes `[height, width, 3]`, or `[height, width]`, as one image of numbers. */
function bytesOf(
  stored: StoredTensor | undefined,
  map: (byte: number) => number,
): Pixels | undefined {
  if (stored === undefined) return undefined;
  const [height = 0, width = 0, channels = 1] = stored.shape;
  return { shape: [1, height, width, channels], data: stored.read().map(map) };
}

/** Images with the channels first, as states are stored. */
function planes(x: Images): Float32Array {
  return tf.tidy(() => tf.transpose(x, [0, 3, 1, 2]).dataSync() as Float32Array);
}

/**
 * Draws as the original did: for each value of eta that the file's names begin with, as in
 * `eta0.images`, or else once.
 */
export async function* runPipeline(
  folder: string,
  recorded: Recorded,
  values: Readonly<Record<string, unknown>>,
  engine: Engine,
): AsyncGenerator<Found> {
  const run = readRun(values, folder, recorded);
  const model = openModel(folder);
  const plain = loadDenoiser(model, engine);
  const { denoiser, found, dispose } = await readTexts(plain, run);
  yield* found;
  const names = recorded.names.map((name) => name.match(/^eta([\d.]+)\.images$/)?.[1]);
  const etas = names.filter((eta) => eta !== undefined);
  for (const eta of etas.length === 0 ? [undefined] : etas) {
    const prefix = eta === undefined ? "" : `eta${eta}.`;
    const own = eta === undefined ? run : { ...run, eta: Number(eta) };
    for await (const one of drawOnce(denoiser, await planOf(model, own), own)) {
      yield { ...one, name: `${one.shared ? "" : prefix}${one.name}` };
    }
  }
  dispose();
}

/** The run's own sampler, but for what the record says of it. */
async function planOf(model: Model, { steps, eta, scale, strength, around }: Run): Promise<Plan> {
  const edit = strength === undefined ? undefined : { strength };
  const guidance = model.text && scale !== undefined ? [`cfg,scale=${scale}`] : undefined;
  const plan = await makePlan(model, { steps, guidance, edit, ...around });
  const { name } = plan.sampler.plugin;
  if (eta === undefined || name !== "ddim") return plan;
  return await makePlan(model, { steps, guidance, edit, sampler: `ddim,eta=${eta}` });
}

/** The denoiser that is asked by the run's texts, and what the text encoder made of them. */
async function readTexts(denoiser: Denoiser, { prompt, negative }: Run): Promise<{
  readonly denoiser: Denoiser;
  readonly found: readonly Found[];
  dispose(): void;
}> {
  const { text } = denoiser.model;
  if (text === undefined) return { denoiser, found: [], dispose() {} };
  const prompts = { texts: [prompt], negative };
  const encoder = loadEncoder(text, denoiser.engine);
  const asked = await askByText(denoiser, encoder, prompts);
  await encoder.release();
  const { embeddings } = asked;
  // As diffusers calls them: unCLIP's are the vectors.
  const shown = denoiser.prior === undefined ? embeddings.states : embeddings.pooled;
  const ids = [negative, prompt].flatMap((text_) => [...text.tokenizer.encode(text_).ids]);
  const rows = await shown?.data() as Float32Array;
  const part = (name: string, index: number): Found => ({
    name,
    shape: [1, ...shown?.shape.slice(1) ?? []],
    data: rows.subarray(index * rows.length / 2, (index + 1) * rows.length / 2),
    measure: "element",
  });
  return {
    denoiser: asked.denoiser,
    found: [
      { name: "input_ids", shape: [2, ids.length / 2], data: ids, measure: "exact" },
      part("prompt_embeds", 0),
      part("negative_prompt_embeds", 1),
    ],
    dispose: asked.dispose,
  };
}

/** What a run gives; what all runs of a record have in common is `shared`. */
async function* drawOnce(
  denoiser: Denoiser,
  plan: Plan,
  { seeds, prompt, negative, width: wide, height: high, init, strength, given }: Run,
): AsyncGenerator<Found & { readonly shared?: boolean }> {
  const { model, codec } = denoiser;
  const states: Float32Array[][] = []; // by step and image
  const pixels: Float32Array[] = [];
  const noise: Float32Array[] = [];
  const told: Float32Array[] = []; // embeddings of images
  const { before } = denoiser;
  const watched: Denoiser = {
    ...denoiser,
    before: before && (async (...given) => {
      const drawn = await before(...given);
      told.push(await drawn.embeddings.data() as Float32Array);
      return drawn;
    }),
  };
  let shape: readonly number[] = []; // of pixels, NHWC
  const keeps = given.mask !== undefined && besideOf(model) !== "masked";
  const side = (axis: 1 | 2, own: number | undefined) =>
    besideOf(model) === "small" ? (init?.shape[axis] ?? 0) * codec.factor : own;
  const size = sizeOf(model, { width: side(2, wide), height: side(1, high) });
  const [rows, columns] = [size.height / codec.factor, size.width / codec.factor];
  for (const seed of seeds) {
    const settings: Settings = {
      model: model.name,
      seed,
      count: 1,
      classes: [],
      ...size,
      ...model.text && { prompts: [prompt], negative },
      unconditional: false,
      steps: plan.steps,
      sampler: specOf(plan.sampler),
      guidance: plan.guidances.map(specOf),
      rng: "torch",
    };
    const batches = drawBatches(watched, {
      plan,
      settings,
      first: 0,
      end: 1,
      batchSize: 1,
      given,
      ...init &&
        (strength === undefined && !keeps
          ? { beside: () => Promise.resolve(tf.tensor4d(init.data, sidesOf(init))) }
          : { edit: editOf(init, strength, keeps ? given.mask : undefined) }),
      onStep: ({ x, step }) => void (states[step - 1] ??= []).push(planes(x)),
    });
    for await (const { pixels: drawn } of batches) {
      shape = drawn.shape;
      pixels.push(drawn.data);
    }
    const start = imageNoise("torch", [seed], [rows, columns, codec.channels]);
    noise.push(tf.tidy(() => planes(tf.tensor4d(start.draw(), [...start.shape]))));
  }
  const { length } = seeds;
  const [, height = 0, width = 0, depth = 0] = shape;
  const of = (name: string, shape: readonly number[], parts: readonly Float32Array[]): Found => ({
    name,
    shape,
    data: join(parts),
    measure: "unit" satisfies Measure,
  });
  const latent = [length, codec.channels, rows, columns];
  for (const name of ["initial_noise", "initial_latent"]) {
    yield { ...of(name, latent, noise), shared: true };
  }
  const times = plan.levels.slice(0, -1).map(({ t }) => t);
  yield { name: "timesteps", shape: [times.length], data: times, measure: "exact", shared: true };
  for (const name of ["traj", "latents"]) {
    yield of(name, [states.length, ...latent], states.flat());
  }
  if (before !== undefined) {
    const small = states.at(-1)?.map((state) =>
      state.map((value) => Math.min(1, Math.max(-1, value)))
    );
    yield of("image_embeddings", [length, told[0]?.length ?? 0], told);
    yield of("image_small", latent, small ?? []);
  }
  const decoded = pixels.map((data) =>
    tf.tidy(() => planes(tf.tensor4d(data, [1, height, width, depth])))
  );
  yield of("decoded", [length, depth, height, width], decoded);
  // As diffusers makes numbers in [0, 1] of them.
  const unit = pixels.map((data) => data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5))));
  yield of("images", [length, height, width, depth], unit);
}

const sidesOf = ({ shape }: Pixels) => [...shape] as [number, number, number, number];

/** A run that begins with a picture, and keeps it where a mask is black. */
function editOf(
  { data, shape }: Pixels,
  strength: number | undefined,
  mask: Pixels | undefined,
): Edit {
  const [image] = toBitmaps(data, shape);
  if (image === undefined) throw new TypeError("Cannot begin with no picture");
  const open = mask && Uint8Array.from(mask.data);
  return makeEdit({ strength }, { canvas: { image, bare: false, open }, unit: false });
}

/** Numbers one after another. */
function join(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
