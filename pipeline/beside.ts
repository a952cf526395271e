/**
 * What some networks are shown beside x, joined to its channels: a small image that is to become a
 * large one (Rombach et al. 2022, section 4.4), or an image with a hole that is to be filled.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled } from "../engines/engine.ts";
import { type ImageNoise, resumeImageNoise } from "../noise/mod.ts";
import { combine, type Images } from "../plugin.ts";
import { processOf } from "../schedules/mod.ts";
import type { Pixels } from "./codec.ts";
import type { Denoiser } from "./denoiser.ts";
import { channelsOf, type Model } from "./model.ts";

/** What a network is shown: nothing, a small image, or one with a hole. */
export type Beside = "nothing" | "small" | "masked";

/** What was given for a batch. */
export interface Given {
  /**
   * Images `[batch, height, width, channels]` in [-1, 1]: small ones as large as x, or those with a
   * hole as large as the pixels.
   */
  readonly shown?: Images | undefined;
  /** `[1, height, width, 1]`, as large as the pixels: 1 where new ones are to come, else 0. */
  readonly mask?: Pixels | undefined;
  /** The timestep up to which a small image is noised, of models that are told it. */
  readonly noiseLevel?: number | undefined;
}

/** The noise that a small image has where nobody says. */
const NOISE_LEVEL = 20;

/**
 * What a model's network is shown, by the channels that it takes more than x has: those of a small
 * image, or of a mask and latents.
 *
 * @returns undefined where they are another number.
 */
export function besideOf(model: Pick<Model, "unet" | "autoencoder">): Beside | undefined {
  const channels = channelsOf(model);
  switch (model.unet.inChannels - channels) {
    case 0:
      return "nothing";
    case channels + 1:
      return "masked";
    case model.unet.beside || 3:
      return "small";
  }
  return undefined;
}

/** A batch that is ready to run. */
export interface Prepared {
  readonly denoiser: Denoiser;
  /** Continues behind what was drawn here. */
  readonly noise: ImageNoise;
  /** What is joined to x's channels; the caller disposes it. */
  readonly beside?: Images | undefined;
  /** The first x, where it had to be drawn before; the caller disposes it. */
  readonly start?: Images | undefined;
}

/**
 * Makes what a batch's network is shown of what was given. Noise is drawn in the order of diffusers'
 * pipelines.
 *
 * @param first draws the first x.
 * @throws {TypeError} Where what it needs was not given.
 */
export async function prepareBeside(
  denoiser: Denoiser,
  given: Given,
  noise: ImageNoise,
  first: () => Images,
): Promise<Prepared> {
  const { model } = denoiser;
  const beside = besideOf(model);
  if (beside !== "small" && beside !== "masked") return { denoiser, noise };
  const { shown, mask } = given;
  if (shown === undefined) {
    throw new TypeError(`Cannot draw with ${model.name} without an image: it is shown one`);
  }
  if (beside === "small") return prepareSmall(denoiser, shown, given, noise);
  if (mask === undefined) {
    throw new TypeError(`Cannot draw with ${model.name} without a mask: it fills a hole`);
  }
  const start = first();
  return { denoiser, noise, start, beside: await joinMasked(denoiser, shown, mask, noise) };
}

/** A small image, noised where the network is told by how much. */
function prepareSmall(
  denoiser: Denoiser,
  shown: Images,
  { noiseLevel = NOISE_LEVEL }: Given,
  noise: ImageNoise,
): Prepared {
  const { model, codec } = denoiser;
  const [, height, width] = noise.shape;
  if (shown.shape[1] !== height || shown.shape[2] !== width) {
    throw new TypeError(`Cannot show ${model.name} an image of another size than x has`);
  }
  if (model.lowRes === undefined) return { denoiser, noise, beside: tf.clone(shown) };
  const { alpha, sigma } = processOf(model.lowRes).atTime(noiseLevel);
  const own = resumeImageNoise(noise.state(), [height, width, shown.shape[3]]);
  const beside = tf.tidy(() =>
    combine([alpha, shown], [sigma, tf.tensor4d(own.draw(), [...own.shape])])
  );
  return {
    // What looks into the network would have to be told, too.
    denoiser: {
      ...denoiser,
      network: told(denoiser.network, noiseLevel),
      pullback: undefined,
      perturbed: undefined,
      attention: undefined,
    },
    noise: resumeImageNoise(own.state(), [height, width, codec.channels]),
    beside,
  };
}

/** A network that is told a level behind all else. */
function told(network: Compiled, level: number): Compiled {
  const asked: Compiled = (x, ...inputs) =>
    network(x as Images, ...inputs, tf.fill([x?.shape[0] ?? 0], level, "int32"));
  asked.release = async () => await network.release?.();
  return asked;
}

/** The mask as large as x, and the latents of the image without what it covers. */
async function joinMasked(
  { codec }: Denoiser,
  shown: Images,
  { data, shape }: Pixels,
  noise: ImageNoise,
): Promise<Images> {
  const [count, height, width] = noise.shape;
  const mask = tf.tensor4d(data, [...shape] as [number, number, number, number]);
  const holed: Images = tf.tidy(() => tf.mul(shown, tf.sub(1, mask)));
  const latents = await codec.encode(holed, () => tf.tensor4d(noise.draw(), [...noise.shape]));
  const joined = tf.tidy(() => {
    const hole = tf.image.resizeNearestNeighbor(mask, [height, width]);
    return tf.concat([tf.tile(hole, [count, 1, 1, 1]), latents], 3) as Images;
  });
  tf.dispose([mask, holed, latents]);
  return joined;
}
