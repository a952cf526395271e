/** Images that a model's network is shown: a small one that is to grow, or one with a hole. */
import type { Bitmap } from "../images/pixels.ts";
import { besideOf, type Given } from "../pipeline/beside.ts";
import type { Pixels } from "../pipeline/codec.ts";
import { factorOf, type Model } from "../pipeline/model.ts";
import { type Settings, sizeOf } from "../pipeline/settings.ts";
import { usage, UsageError } from "./_command.ts";

/** The flags of models that are shown images. */
export const givenFlags = {
  init: {
    type: "string",
    value: "IMAGE",
    complete: "file",
    help: "the image that an upscaler enlarges, or that an inpainting model fills",
    group: "Images",
  },
  mask: {
    type: "string",
    value: "IMAGE",
    complete: "file",
    help: "white where an inpainting model draws, black where the image stays",
    group: "Images",
  },
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

/**
 * Reads the images, and says how large the images of the run are.
 *
 * @throws {UsageError} Where a model needs an image that was not given, or takes none.
 */
export async function givenOf(
  model: Model,
  { init, mask, "noise-level": noiseLevel, width, height }: Typed,
  repeated: Settings | undefined,
): Promise<{ readonly given: Given } & Pick<Settings, "width" | "height" | "noiseLevel">> {
  const beside = besideOf(model);
  const { name, lowRes } = model;
  const refuse = (flag: string, why: string) =>
    new UsageError(`Cannot use --${flag} with ${name}: ${why}`);
  if (noiseLevel !== undefined && lowRes === undefined) {
    throw refuse("noise-level", "it is told no level of an image's noise");
  }
  if (mask !== undefined && beside !== "masked") throw refuse("mask", "it fills no holes");
  if (beside !== "small" && beside !== "masked") {
    if (init !== undefined) throw refuse("init", "it is shown no image");
    return { given: {}, width, height };
  }
  if (init === undefined) {
    throw new UsageError(`Cannot draw with ${name} without an image: give one with --init`);
  }
  const { loadImage } = await import("../images/load.ts");
  if (beside === "small") {
    if (width !== undefined || height !== undefined) {
      throw refuse(
        width === undefined ? "height" : "width",
        "the size is that of --init, enlarged",
      );
    }
    const own = await loadImage(init, { channels: 3 });
    const { stride } = model.unet;
    const fit = (size: number) => Math.max(stride, Math.floor(size / stride) * stride);
    const small = await loadImage(init, {
      width: fit(own.width),
      height: fit(own.height),
      channels: 3,
    });
    const level = lowRes && (noiseLevel ?? repeated?.noiseLevel);
    return {
      given: { init: pixelsOf(small), noiseLevel: level },
      width: small.width * factorOf(model),
      height: small.height * factorOf(model),
      noiseLevel: level,
    };
  }
  if (mask === undefined) {
    throw new UsageError(`Cannot draw with ${name} without a mask: give one with --mask`);
  }
  const size = await usage(() =>
    sizeOf(model, { width: width ?? repeated?.width, height: height ?? repeated?.height })
  );
  const hole = await loadImage(mask, { ...size, channels: 1 });
  const image = await loadImage(init, { ...size, channels: 3 });
  return {
    given: {
      init: pixelsOf(image),
      mask: pixelsOf({ ...hole, pixels: hole.pixels.map((value) => value >= 0 ? 1 : 0) }),
    },
    ...size,
  };
}

function pixelsOf(
  { pixels, height, width, channels }: Omit<Bitmap, "pixels"> & { readonly pixels: Float32Array },
): Pixels {
  return { shape: [1, height, width, channels], data: pixels };
}
