/**
 * The autoencoder of a model that works on latents (Rombach et al. 2022).
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import {
  type AutoencoderKLConfig,
  decodeLatents,
  drawLatents,
  encodeMoments,
  parseAutoencoderKLConfig,
  posteriorOf,
} from "../models/autoencoder_kl.ts";
import { latentRate } from "../models/autoencoder_blocks.ts";
import { readJson } from "../models/config.ts";
import { inTiles } from "../models/tiles.ts";
import {
  decodeVQ,
  encodeVQ,
  entrySize,
  parseVQModelConfig,
  type VQModelConfig,
} from "../models/vq_model.ts";
import type { Scope } from "../models/scope.ts";
import type { Weights } from "../models/weights.ts";
import type { Images } from "../plugin.ts";
import type { Codec } from "./codec.ts";

/** An autoencoder by its class. */
export type Autoencoder =
  & { readonly folder: string; readonly weights: Weights }
  & (
    | { readonly kind: "AutoencoderKL"; readonly config: AutoencoderKLConfig }
    | { readonly kind: "VQModel"; readonly config: VQModelConfig }
  );

/** Opens the folder of an autoencoder, see {@linkcode autoencoderOf}. */
export function openAutoencoder(
  folder: string,
  weightsOf: (folder: string) => Weights,
): Autoencoder {
  const path = join(folder, "config.json");
  return autoencoderOf(readJson(path), path, { folder, weights: weightsOf(folder) });
}

/**
 * An autoencoder by its configuration.
 *
 * @param path names the configuration in messages.
 * @throws {TypeError} Where its class is not known, or its configuration does not fit.
 */
export function autoencoderOf(
  values: Readonly<Record<string, unknown>>,
  path: string,
  common: Pick<Autoencoder, "folder" | "weights">,
): Autoencoder {
  switch (values["_class_name"]) {
    case "AutoencoderKL":
      return { ...common, kind: "AutoencoderKL", config: parseAutoencoderKLConfig(values, path) };
    case "VQModel":
      return { ...common, kind: "VQModel", config: parseVQModelConfig(values, path) };
  }
  throw new TypeError(
    `Cannot use "${path}": an autoencoder of class ${
      values["_class_name"]
    } is not known, only AutoencoderKL and VQModel`,
  );
}

/** Images through all of an autoencoder's layers. */
export function roundTrip(scope: Scope, autoencoder: Autoencoder, image: Images): Images {
  if (autoencoder.kind === "VQModel") {
    const { config } = autoencoder;
    return decodeVQ(scope, config, encodeVQ(scope, config, image));
  }
  const { config } = autoencoder;
  return decodeLatents(scope, config, posteriorOf(encodeMoments(scope, config, image)).mean);
}

/** The channels of its latents. */
export function latentChannels(autoencoder: Autoencoder): number {
  return autoencoder.kind === "VQModel"
    ? entrySize(autoencoder.config)
    : autoencoder.config.latent_channels;
}

/** Pixels along the side of one of its latents. */
export function latentFactor({ config }: Autoencoder): number {
  return latentRate(config);
}

/** How latents become pixels. */
export interface LatentOptions {
  /** The edge of a tile in pixels; whole images where absent. */
  readonly tile?: number | undefined;
  /** Whether latents are scaled to unit variance: true by default, false in LDM's super-resolution. */
  readonly scaled?: boolean | undefined;
}

/** x are latents, scaled to about unit variance. */
export function latentCodec(
  autoencoder: Autoencoder,
  engine: Engine,
  { tile, scaled = true }: LatentOptions = {},
): Codec {
  const { config, weights } = autoencoder;
  const factor = latentRate(config);
  const scale = scaled ? config.scaling_factor : 1;
  const shift = autoencoder.kind === "AutoencoderKL" ? autoencoder.config.shift_factor ?? 0 : 0;
  const decode = engine.compile((scope, latents) => [
    autoencoder.kind === "AutoencoderKL"
      ? decodeLatents(scope, autoencoder.config, latents as Images)
      : decodeVQ(scope, autoencoder.config, latents as Images),
  ], weights);
  const whole = async (latents: Images): Promise<Images> => {
    const [pixels] = await decode(latents);
    if (pixels === undefined) throw new Error("The autoencoder has no output");
    return pixels as Images;
  };
  // A multiple of 4, so that a quarter of it is whole.
  const edge = tile === undefined ? undefined : Math.max(4, 4 * Math.round(tile / factor / 4));
  const encode = engine.compile((scope, image, noise) => [
    autoencoder.kind === "AutoencoderKL"
      ? drawLatents(
        posteriorOf(encodeMoments(scope, autoencoder.config, image as Images)),
        noise as Images,
      )
      : encodeVQ(scope, autoencoder.config, image as Images),
  ], weights);
  return {
    factor,
    channels: latentChannels(autoencoder),
    async encode(pixels, noise) {
      const draws = autoencoder.kind === "AutoencoderKL" ? [noise()] : [];
      const [latents] = await encode(pixels, ...draws);
      tf.dispose(draws);
      if (latents === undefined) throw new Error("The autoencoder has no output");
      const scaledLatents: Images = tf.tidy(() => tf.mul(tf.sub(latents as Images, shift), scale));
      latents.dispose();
      return scaledLatents;
    },
    async decode(x) {
      const latents: Images = tf.tidy(() => tf.add(tf.div(x, scale), shift));
      const parts = tf.tidy(() => tf.split(latents, x.shape[0]) as Images[]); // one by one, for less memory
      latents.dispose();
      const images = [];
      for (const part of parts) {
        const pixels = await (edge === undefined
          ? whole(part)
          : inTiles(part, whole, factor, { tile: edge, overlap: edge / 4 }));
        images.push({ shape: pixels.shape, data: await pixels.data() as Float32Array });
        tf.dispose([part, pixels]);
      }
      const [first] = images;
      const data = new Float32Array(images.length * (first?.data.length ?? 0));
      images.forEach((image, i) => data.set(image.data, i * image.data.length));
      return { shape: [images.length, ...first?.shape.slice(1) ?? []], data };
    },
    async release() {
      await decode.release?.();
      await encode.release?.();
    },
  };
}
