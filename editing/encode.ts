import * as tf from "tfjs";
import { type Bitmap, fromBytes } from "../images/pixels.ts";
import { type Denoiser, guidedPredict } from "../pipeline/denoiser.ts";
import type { Batch } from "../pipeline/draw.ts";
import type { Plan } from "../pipeline/plan.ts";
import type { Progress } from "../pipeline/run.ts";
import { conditionsOf, type Settings } from "../pipeline/settings.ts";
import { invert } from "./inversion.ts";
import type { NoiseFile } from "./noise_file.ts";

/** Pictures that are to become noise, and the run that leads back. */
export interface Encoding {
  readonly plan: Plan;
  readonly settings: Settings;
  /** Of the model's size. */
  readonly images: readonly Bitmap[];
  readonly refine: number;
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
  onStep?(progress: Progress, batch: Pick<Batch, "number" | "batches">): void;
}

/** Inverts pictures, batch by batch; each depends on itself and its class or text alone. */
export async function encodeImages(
  denoiser: Denoiser,
  { plan, settings, images, refine, batchSize, signal, onStep }: Encoding,
): Promise<Omit<NoiseFile, "texts">> {
  const { model, codec } = denoiser;
  const [first] = images;
  if (first === undefined) throw new RangeError("Cannot invert no images");
  const { width, height, channels } = first;
  const span = width * height * channels;
  const size = [height / codec.factor, width / codec.factor, codec.channels] as const;
  const each = size.reduce((product, side) => product * side, 1);
  const values = new Float32Array(images.length * each);
  const batches = Math.ceil(images.length / batchSize);
  for (let number = 0; number < batches; number++) {
    const start = number * batchSize;
    const part = images.slice(start, start + batchSize);
    const pixels = new Float32Array(part.length * span);
    for (const [i, image] of part.entries()) pixels.set(fromBytes(image.pixels), i * span);
    const pictures = tf.tensor4d(pixels, [part.length, height, width, channels]);
    // Of latents that are drawn the mean, so that the same picture has the same noise.
    const x0 = await codec.encode(pictures, () => tf.zeros([part.length, ...size]))
      .finally(() => pictures.dispose());
    const conditions = conditionsOf(model, settings, part.map((_, i) => start + i));
    const x = await invert(x0, {
      plan,
      refine,
      predict: guidedPredict(denoiser, conditions, plan.guidances, false),
      signal,
      onStep: (progress) => onStep?.(progress, { number, batches }),
    }).finally(() => x0.dispose());
    values.set(await x.data(), start * each);
    x.dispose();
  }
  return { shape: [images.length, ...size], values };
}
