/** The image and the mask of models that fill holes, and how far an upscaler's image is noised. */
import type { LoadedImage } from "../images/load.ts";
import { besideOf } from "../pipeline/beside.ts";
import type { Draw } from "../pipeline/draw.ts";
import type { Model } from "../pipeline/model.ts";
import { type Settings, sizeOf } from "../pipeline/settings.ts";
import { usage, UsageError } from "./_command.ts";

/** The flags of models that are shown images. */
export const givenFlags = {
  "noise-level": {
    type: "integer",
    min: 0,
    help: "timestep up to which an upscaler's image is noised; 20 without it",
    group: "Images",
  },
} as const;

/** What was typed of them, and the size that was. */
interface Typed {
  readonly init: string | undefined;
  readonly mask: string | undefined;
  readonly "noise-level": number | undefined;
  readonly width: number | undefined;
  readonly height: number | undefined;
}

/** What a run's network is shown. */
export type Shown = Pick<Draw, "beside" | "given"> & Pick<Settings, "noiseLevel">;

/**
 * Reads what an inpainting model fills.
 *
 * @throws {UsageError} Where a model needs an image that was not given, or takes none.
 */
export async function givenOf(
  model: Model,
  { init, mask, "noise-level": level, width, height }: Typed,
  repeated: Settings | undefined,
): Promise<Shown> {
  const beside = besideOf(model);
  const { name, lowRes } = model;
  const refuse = (flag: string, why: string) =>
    new UsageError(`Cannot use --${flag} with ${name}: ${why}`);
  if (level !== undefined && lowRes === undefined) {
    throw refuse("noise-level", "it is told no level of an image's noise");
  }
  const noiseLevel = lowRes && (level ?? repeated?.noiseLevel);
  if (beside !== "masked") {
    return { given: { noiseLevel }, noiseLevel };
  }
  if (init === undefined || mask === undefined) {
    throw new UsageError(
      `Cannot draw with ${name} without an image and a mask: give both with --init and --mask`,
    );
  }
  const { loadImage } = await import("../images/load.ts");
  const tf = await import("tfjs");
  const size = await usage(() =>
    sizeOf(model, { width: width ?? repeated?.width, height: height ?? repeated?.height })
  );
  const shape = ({ height, width, channels }: LoadedImage) =>
    [1, height, width, channels] as [number, number, number, number];
  const hole = await loadImage(mask, { ...size, channels: 1 });
  const image = await loadImage(init, { ...size, channels: 3 });
  return {
    given: { mask: { shape: shape(hole), data: hole.pixels.map((value) => value >= 0 ? 1 : 0) } },
    beside: ({ length }) =>
      Promise.resolve(
        tf.tidy(() => tf.tile(tf.tensor4d(image.pixels, shape(image)), [length, 1, 1, 1])),
      ),
  };
}
