/**
 * The images that a super-resolution network enlarges.
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import { type LoadedImage, loadImage } from "../images/load.ts";
import type { Images } from "../plugin.ts";
import { besideOf } from "./beside.ts";
import { edgeOf, factorOf, type Model } from "./model.ts";

const IMAGE = /\.(png|jpe?g|webp|avif|gif|tiff?)$/i;

/** The images of a folder by their names, or the one that a path names. */
async function pathsOf(path: string): Promise<string[]> {
  if (!(await Deno.stat(path)).isDirectory) return [path];
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
  const images = names.filter((name) => IMAGE.test(name)).sort();
  if (images.length > 0) return images.map((name) => join(path, name));
  throw new Deno.errors.NotFound(`Cannot find an image to enlarge: the folder ${path} holds none`);
}

/** Images to be enlarged. */
export interface LowRes {
  readonly count: number;
  /** What a network sees of these images beside x, as large as x. */
  beside(indices: readonly number[]): Promise<Images>;
  /** The pixels of what they become, where that follows from them. */
  readonly size?: { readonly width: number; readonly height: number } | undefined;
}

/**
 * What a model sees beside x: the images of a file or a folder in turn. OpenAI's networks see them
 * made as large as x by interpolation (Dhariwal and Nichol 2021, section 4.2); those that work on
 * latents see them as they are, and x is as large as they are (Rombach et al. 2022, section 4.4).
 *
 * @throws {TypeError} Where the model enlarges nothing.
 */
export async function lowResOf(path: string, model: Model): Promise<LowRes> {
  const { unet, name } = model;
  if (besideOf(model) !== "small") {
    throw new TypeError(`Cannot use --low-res: ${name} is no model that enlarges images`);
  }
  const paths = await pathsOf(path);
  const pathOf = (index: number) => paths[index % paths.length] ?? path;
  if (unet.kind === "SuperResModel") {
    const small = unet.config.small_size ?? undefined;
    const edge = edgeOf(model);
    const channels = unet.beside === 1 ? 1 : 3;
    return {
      count: paths.length,
      async beside(indices) {
        const images = await Promise.all(
          indices.map((i) => loadImage(pathOf(i), { width: small, height: small, channels })),
        );
        // Half-pixel centers, as torch has them.
        return tf.tidy(() =>
          tf.concat(
            images.map((it) => tf.image.resizeBilinear(tensorOf(it), [edge, edge], false, true)),
          )
        );
      },
    };
  }
  const first = await loadImage(pathOf(0), { channels: 3 });
  const fit = (size: number) => Math.max(unet.stride, size - size % unet.stride);
  const sides = { width: fit(first.width), height: fit(first.height), channels: 3 } as const;
  return {
    count: paths.length,
    size: { width: sides.width * factorOf(model), height: sides.height * factorOf(model) },
    async beside(indices) {
      const images = await Promise.all(indices.map((index) => loadImage(pathOf(index), sides)));
      return tf.tidy(() => tf.concat(images.map(tensorOf)));
    },
  };
}

function tensorOf({ pixels, height, width, channels }: LoadedImage): Images {
  return tf.tensor4d(pixels, [1, height, width, channels]);
}
