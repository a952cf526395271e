/** What commands share that turn pictures into noise. */
import { encodeImages } from "../editing/encode.ts";
import type { NoiseFile } from "../editing/noise_file.ts";
import { readSource } from "../editing/source.ts";
import { decodeImage } from "../images/load.ts";
import type { Bitmap } from "../images/pixels.ts";
import type { Engine } from "../engines/engine.ts";
import { besideOf } from "../pipeline/beside.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import type { Model } from "../pipeline/model.ts";
import { makePlan, type Plan } from "../pipeline/plan.ts";
import type { Settings } from "../pipeline/settings.ts";
import { usage, UsageError } from "./_command.ts";
import type { Io } from "./_io.ts";
import { progressBar } from "./_progress.ts";
import { promptFlags, promptsOf, type Wanted, warnOfCuts } from "./_prompts.ts";
import sample, { pathWishes, settle, targetOf } from "./sample.ts";

const { steps, guidance, spacing, timesteps, sigmas } = sample.flags;

/** Flags of the way between a picture and its noise. */
export const inversionFlags = {
  model: {
    type: "string",
    value: "MODEL",
    complete: "model",
    default: "digits",
    help: "a bundled name or a model folder",
  },
  class: {
    type: "string",
    value: "NAME,…",
    help: "what the pictures show, in turn; none, the null class, without it",
  },
  steps: { ...steps, default: 100, help: "levels on the way; more come back more exactly" },
  guidance: {
    ...guidance,
    help: "guidance of both ways, which come back less exactly",
  },
  spacing,
  timesteps,
  sigmas,
  prompt: promptFlags.prompt,
  negative: promptFlags.negative,
  refine: {
    type: "integer",
    min: 0,
    default: 0,
    help: "fixed-point iterations a step, each a call: one mostly comes back more exactly",
  },
} as const;

type InversionValues =
  & {
    readonly [K in "class" | "spacing" | "timesteps" | "sigmas"]: string | undefined;
  }
  & {
    readonly steps: number;
    readonly guidance: readonly string[];
    readonly prompt: readonly string[];
    readonly negative: string | undefined;
  };

/** Refuses a model whose images depend on more than x and what they show. */
export function checkInvertible(model: Model): void {
  const reason = model.unclip !== undefined
    ? "its prior draws an embedding of each image, which an image does not tell"
    : besideOf(model) === "nothing"
    ? undefined
    : "it is shown an image beside x";
  if (reason !== undefined) throw new UsageError(`Cannot invert with ${model.name}: ${reason}`);
}

/** A model on an engine, asked by the texts of a run where it reads such. */
export async function openDenoiser(
  model: Model,
  engine: Engine,
  { prompts = [], negative = "" }: Settings,
  io: Io,
): Promise<Denoiser> {
  const { loadDenoiser } = await import("../pipeline/denoiser.ts");
  const denoiser = loadDenoiser(model, engine);
  if (model.text === undefined) return denoiser;
  const { askByText, loadEncoder } = await import("../pipeline/text.ts");
  const encoder = loadEncoder(model.text, engine);
  const asked = await askByText(denoiser, encoder, { texts: prompts, negative }, warnOfCuts(io));
  await encoder.release();
  return asked.denoiser; // its embeddings end with the command
}

/** Pictures of a model's size, cropped around their center where they have another shape. */
export async function readPictures(
  paths: readonly string[],
  model: Model,
  io: Io,
): Promise<Bitmap[]> {
  const { width, height, channels } = targetOf(model);
  const pictures: Bitmap[] = [];
  for (const path of paths) {
    const { bytes } = await readSource(path, "the image");
    const own = await decodeImage(bytes, path, { channels });
    const fits = own.width === width && own.height === height;
    if (!fits) io.log(`Scaled ${path} from ${own.width}x${own.height} to ${width}x${height}`);
    pictures.push(fits ? own : await decodeImage(bytes, path, { width, height, channels }));
  }
  return pictures;
}

/** The run of `ddim` along which an inversion goes back. */
export async function inversionRun(
  model: Model,
  flags: InversionValues,
  count: number,
  given: (flag: "steps") => boolean,
): Promise<{ readonly plan: Plan; readonly settings: Settings }> {
  const free = model.labels.length > 0 && flags.class === undefined;
  if (free && model.nullClass === undefined) {
    throw new UsageError(
      `Cannot invert without --class: ${model.name} has no null class, so say what is shown`,
    );
  }
  const wanted = await textsOf(model, flags);
  const listed = !given("steps") && (flags.timesteps ?? flags.sigmas) !== undefined;
  return await usage(async () => {
    const plan = await makePlan(model, {
      sampler: "ddim",
      guidance: flags.guidance.length === 0 ? ["none"] : flags.guidance,
      ...pathWishes({ ...flags, steps: listed ? undefined : flags.steps }),
    });
    const typed = {
      class: free ? "none" : flags.class,
      negative: flags.negative,
      count,
      rng: "philox",
      seed: "0",
      unconditional: false,
    } as const;
    return { plan, settings: settle(model, plan, typed, () => false, undefined, wanted) };
  });
}

/** The texts that were typed, where the model reads such. */
export async function textsOf(
  model: Model,
  { prompt, negative }: Pick<InversionValues, "prompt" | "negative">,
): Promise<Partial<Wanted>> {
  const typed = { prompt, negative, "prompt-file": undefined, "clip-skip": undefined };
  return await promptsOf(model, { ...typed, count: undefined }, undefined) ?? {};
}

/** Inverts pictures and shows how far it is. */
export async function encodePictures(
  denoiser: Denoiser,
  run: { readonly plan: Plan; readonly settings: Settings },
  images: readonly Bitmap[],
  { refine, "batch-size": batchSize }: { readonly refine: number; readonly "batch-size": number },
  io: Io,
): Promise<Omit<NoiseFile, "texts">> {
  const steps = run.plan.levels.length - 1;
  const bar = progressBar(io, steps * Math.ceil(images.length / batchSize), "step");
  return await encodeImages(denoiser, {
    ...run,
    images,
    refine,
    batchSize,
    signal: io.signal,
    onStep: ({ step }, { number }) => bar.update(number * steps + step),
  }).finally(() => bar.stop());
}
