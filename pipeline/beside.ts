/**
 * What some networks are shown beside x, joined to its channels: a small image that is to become a
 * large one (Rombach et al. 2022, section 4.4), or an image with a hole that is to be filled.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled } from "../engines/engine.ts";
import { type ImageNoise, resumeImageNoise } from "../noise/mod.ts";
import type { Images } from "../plugin.ts";
import { processOf } from "../schedules/mod.ts";
import type { Pixels } from "./codec.ts";
import type { Denoiser } from "./denoiser.ts";
import { channelsOf, type Model } from "./model.ts";

/** What a network is shown: nothing, a small image, or one with a hole. */
export type Beside = "nothing" | "small" | "masked";

/** The images that were given for it. */
export interface Given {
  /** `[1, height, width, 3]` in [-1, 1]. */
  readonly init?: Pixels | undefined;
  /** `[1, height, width, 1]`: 1 where new pixels are to come, else 0. */
  readonly mask?: Pixels | undefined;
  /** The timestep up to which a small image is noised, of models that are told it. */
  readonly noiseLevel?: number | undefined;
}

/** The noise that a small image has where nobody says. */
const NOISE_LEVEL = 20;

/** What a model's network is shown, by the channels that it takes more than x has. */
export function besideOf(model: Pick<Model, "unet" | "autoencoder">): Beside | undefined {
  const channels = channelsOf(model);
  switch (model.unet.inChannels - channels) {
    case 0:
      return "nothing";
    case channels + 1:
      return "masked";
    case 3:
      return "small";
  }
  return undefined;
}

/** A batch that is ready to run. */
export interface Prepared {
  readonly denoiser: Denoiser;
  /** Continues behind what was drawn here. */
  readonly noise: ImageNoise;
  /** The first x, where it had to be drawn before; the caller disposes it. */
  readonly start?: Images | undefined;
  dispose(): void;
}

/**
 * Shows a batch's network what was given. Noise is drawn in the order of diffusers' pipelines.
 *
 * @param first draws the first x.
 * @throws {TypeError} Where what it needs was not given.
 */
export async function prepareBeside(
  denoiser: Denoiser,
  { init, mask, noiseLevel = NOISE_LEVEL }: Given,
  noise: ImageNoise,
  first: () => Images,
): Promise<Prepared> {
  const { model, codec } = denoiser;
  const beside = besideOf(model);
  if (beside === undefined || beside === "nothing") return { denoiser, noise, dispose() {} };
  const [count, height, width] = noise.shape;
  if (init === undefined) {
    throw new TypeError(`Cannot draw with ${model.name} without an image: it is shown one`);
  }
  if (beside === "small") {
    if (init.shape[1] !== height || init.shape[2] !== width) {
      throw new TypeError(`Cannot show ${model.name} an image of another size than x has`);
    }
    let small: Images = tf.tidy(() => tf.tile(imagesOf(init), [count, 1, 1, 1]));
    if (model.lowRes === undefined) return ready(denoiser, noise, small);
    const level = processOf(model.lowRes).atTime(noiseLevel);
    const own = resumeImageNoise(noise.state(), [height, width, 3]);
    const clean = small;
    small = tf.tidy(() =>
      tf.add(
        tf.mul(clean, level.alpha),
        tf.mul(tf.tensor4d(own.draw(), [...own.shape]), level.sigma),
      )
    );
    clean.dispose();
    const rest = resumeImageNoise(own.state(), [height, width, codec.channels]);
    return ready(denoiser, rest, small, noiseLevel);
  }
  if (mask === undefined) {
    throw new TypeError(`Cannot draw with ${model.name} without a mask: it fills a hole`);
  }
  const start = first();
  const holed = tf.tidy(() => tf.mul(imagesOf(init), tf.sub(1, imagesOf(mask))) as Images);
  const batch: Images = tf.tidy(() => tf.tile(holed, [count, 1, 1, 1]));
  const latents = await codec.encode(batch, () => tf.tensor4d(noise.draw(), [...noise.shape]));
  const joined = tf.tidy(() => {
    const hole = tf.image.resizeNearestNeighbor(imagesOf(mask), [height, width]);
    return tf.concat([tf.tile(hole, [count, 1, 1, 1]), latents], 3) as Images;
  });
  tf.dispose([holed, batch, latents]);
  return { ...ready(denoiser, noise, joined), start };
}

const imagesOf = ({ data, shape }: Pixels): Images =>
  tf.tensor4d(data, [...shape] as [number, number, number, number]);

/** A denoiser whose networks see more channels, and are told a level where there is one. */
function ready(denoiser: Denoiser, noise: ImageNoise, beside: Images, level?: number): Prepared {
  const wrap = (compiled: Compiled): Compiled => {
    const shown: Compiled = (x, ...inputs) => {
      const [batch = 0] = x?.shape ?? [];
      const copies = tf.tile(beside, [batch / beside.shape[0], 1, 1, 1]);
      const joined = tf.concat([x as Images, copies], 3);
      const told = level === undefined ? [] : [tf.fill([batch], level, "int32")];
      return compiled(joined, ...inputs, ...told);
    };
    shown.release = async () => await compiled.release?.();
    return shown;
  };
  return {
    denoiser: { ...denoiser, network: wrap(denoiser.network), pullback: undefined },
    noise,
    dispose: () => beside.dispose(),
  };
}
