/**
 * The images that a super-resolution network enlarges.
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import { loadImage } from "../images/load.ts";
import type { Images } from "../plugin.ts";
import { edgeOf, type Model } from "./model.ts";

const IMAGE = /\.(png|jpe?g|webp|avif|gif|tiff?)$/i;

/** The images of a folder by their names, or the one that a path names. */
async function pathsOf(path: string): Promise<string[]> {
  if (!(await Deno.stat(path)).isDirectory) return [path];
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
  const images = names.filter((name) => IMAGE.test(name)).sort();
  if (images.length > 0) return images.map((name) => join(path, name));
  throw new Deno.errors.NotFound(`Cannot find an image to enlarge: the folder ${path} holds none`);
}

/**
 * What a model sees beside x: the images of a file or a folder in turn, made as large as x by
 * interpolation (Dhariwal and Nichol 2021, section 4.2).
 *
 * @throws {TypeError} Where the model enlarges nothing.
 */
export async function lowResOf(
  path: string,
  model: Model,
): Promise<{ readonly count: number; beside(indices: readonly number[]): Promise<Images> }> {
  const { unet, name } = model;
  if (unet.kind !== "SuperResModel") {
    throw new TypeError(`Cannot use --low-res: ${name} is no model that enlarges images`);
  }
  const { beside: channels } = unet;
  const edge = edgeOf(model);
  const small = unet.config.small_size ?? undefined;
  const paths = await pathsOf(path);
  return {
    count: paths.length,
    async beside(indices) {
      const chosen = indices.map((index) => paths[index % paths.length] ?? path);
      const images = await Promise.all(
        chosen.map((path) =>
          loadImage(path, { width: small, height: small, channels: channels === 1 ? 1 : 3 })
        ),
      );
      return tf.tidy(() =>
        tf.concat(images.map(({ pixels, height, width }) =>
          tf.image.resizeBilinear(
            tf.tensor4d(pixels, [1, height, width, channels]),
            [edge, edge],
            false,
            true, // half-pixel centers, as torch has them
          )
        ))
      );
    },
  };
}
