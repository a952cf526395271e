/** What commands share that turn pictures into noise. */
import { encodeImages } from "../editing/encode.ts";
import type { NoiseFile } from "../editing/noise_file.ts";
import { readSource } from "../editing/source.ts";
import { decodeImage } from "../images/load.ts";
import type { Bitmap } from "../images/pixels.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import type { Model } from "../pipeline/model.ts";
import { makePlan, type Plan } from "../pipeline/plan.ts";
import type { Settings } from "../pipeline/settings.ts";
import { usage, UsageError } from "./_command.ts";
import type { Io } from "./_io.ts";
import { progressBar } from "./_progress.ts";
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
  & { readonly steps: number; readonly guidance: readonly string[] };

/** Refuses a model whose sampler does not move pixels. */
export function checkPixels({ autoencoder, name }: Model): void {
  if (autoencoder === undefined) return;
  throw new UsageError(`Cannot invert with ${name}: it works on latents, only pixels are inverted`);
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
  const listed = !given("steps") && (flags.timesteps ?? flags.sigmas) !== undefined;
  return await usage(async () => {
    const plan = await makePlan(model, {
      sampler: "ddim",
      guidance: flags.guidance.length === 0 ? ["none"] : flags.guidance,
      ...pathWishes({ ...flags, steps: listed ? undefined : flags.steps }),
    });
    const typed = {
      class: free ? "none" : flags.class,
      count,
      rng: "philox",
      seed: "0",
      unconditional: false,
    } as const;
    return { plan, settings: settle(model, plan, typed, () => false) };
  });
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
