/**
 * Between what a sampler moves and pixels: they are the same, or x is the latent of an autoencoder.
 * Samplers and guidances never know.
 *
 * @module
 */
import * as tf from "tfjs";
import type { ImageNoise } from "../noise/mod.ts";
import type { Images } from "../plugin.ts";
import { familyOf, type SchedulerConfig } from "../schedules/mod.ts";
import type { Plan } from "./plan.ts";
import type { Progress } from "./run.ts";

/** Images NHWC on the host. */
export interface Pixels {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What images are drawn with before or behind x. */
export interface Drawing {
  /** Where each image's stream stands. */
  readonly noise: ImageNoise;
  readonly plan: Plan;
  readonly signal?: AbortSignal | undefined;
  /** After each step. */
  readonly onStep?: ((progress: Progress) => void | Promise<void>) | undefined;
}

/** How pixels become x, and x pixels. */
export interface Codec {
  /** Pixels along the side of one of x's. */
  readonly factor: number;
  /** The channels of x. */
  readonly channels: number;
  /**
   * The pixels in [-1, 1], of clean x.
   *
   * @param drawing Where pixels are drawn; a preview of them is made without it.
   */
  decode(x: Images, drawing?: Drawing): Promise<Pixels>;
  /**
   * Clean x of pixels in [-1, 1].
   *
   * @param noise N(0, 1) in the shape of x, for autoencoders that draw.
   */
  encode(pixels: Images, noise: () => Images): Promise<Images>;
  /** Frees what it computes with. */
  release(): Promise<void>;
}

/** x are pixels; those of score-based models are from 0 to 1. */
export function pixelCodec(scheduler: SchedulerConfig, channels: number): Codec {
  const unit = familyOf(scheduler) === "ve";
  return {
    factor: 1,
    channels,
    async decode(x) {
      const data = await x.data() as Float32Array;
      return { shape: x.shape, data: unit ? data.map((value) => 2 * value - 1) : data };
    },
    encode: (pixels) =>
      Promise.resolve(tf.tidy(() => unit ? tf.add(tf.mul(pixels, 0.5), 0.5) : tf.clone(pixels))),
    release: () => Promise.resolve(),
  };
}
