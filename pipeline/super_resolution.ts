/**
 * Images that are enlarged by drawing: what an unCLIP decoder leaves becomes the pixels that two
 * further networks see beside the large x (Ramesh et al. 2022, section 2.1).
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import { pillowBicubic, resample } from "../images/resample.ts";
import { readJson } from "../models/config.ts";
import type { Weights } from "../models/weights.ts";
import { resumeImageNoise } from "../noise/mod.ts";
import type { SchedulerConfig } from "../schedules/mod.ts";
import type { Codec, Drawing, Pixels } from "./codec.ts";
import { guidedPredict, networkOf, type Networks, type Predict } from "./denoiser.ts";
import { parameterization } from "./prediction.ts";
import { run } from "./run.ts";
import { openUNet, type UNet } from "./unet.ts";

/** What enlarges a model's images. */
export interface SuperResolution {
  /** The network of all steps but the last one. */
  readonly first: UNet;
  readonly last: UNet;
  readonly scheduler: SchedulerConfig;
  /** Pixels along the side of one of x's. */
  readonly factor: number;
}

/**
 * Opens the `super_res_…` folders of a model.
 *
 * @param small The network whose images are enlarged.
 * @throws {TypeError} Where they enlarge no images of that network.
 */
export function openSuperResolution(
  model: string,
  small: UNet,
  weightsOf: (folder: string) => Weights,
): SuperResolution {
  const [first, last] = [
    openUNet(join(model, "super_res_first"), weightsOf),
    openUNet(join(model, "super_res_last"), weightsOf),
  ];
  const { inChannels: channels } = small;
  for (const { folder, inChannels: into, outChannels: out } of [first, last]) {
    if (into === 2 * channels && (out === channels || out === into)) continue;
    throw new TypeError(
      `Cannot use "${join(folder, "config.json")}": it takes ${into} channels and gives ${out}, ` +
        `it must take ${2 * channels}, x and an image beside it, and give ${channels} or ${
          2 * channels
        }`,
    );
  }
  const factor = (first.edge ?? NaN) / (small.edge ?? NaN);
  if (!Number.isInteger(factor)) {
    throw new TypeError(
      `Cannot use "${
        join(first.folder, "config.json")
      }": its sample_size (${first.edge}) must be a multiple of the decoder's (${small.edge})`,
    );
  }
  const scheduler = readJson(join(model, "super_res_scheduler", "scheduler_config.json"));
  return { first, last, scheduler, factor };
}

/** x is a small image, and its pixels are drawn. */
export function enlargingCodec(
  { first, last, scheduler, factor }: SuperResolution,
  engine: Engine,
): Codec {
  const channels = first.inChannels / 2;
  const networksOf = (unet: UNet): Networks => ({
    model: { name: "super-resolution", labels: [] },
    parameterization: parameterization(scheduler, unet.outChannels === 2 * channels),
    network: engine.compile(networkOf({ unet }), unet.weights),
  });
  const [every, final] = [networksOf(first), networksOf(last)];

  async function draw(
    { data, shape }: Pixels,
    { noise: before, plan: { around }, signal, onStep }: Drawing,
  ): Promise<Float32Array> {
    if (around === undefined) throw new TypeError("Cannot enlarge without a plan of it");
    const [, height = 0, width = 0] = shape;
    const beside = tf.tensor4d(data, sidesOf(shape));
    const { sampler, guidances, levels: path, process } = around.superResolution;
    const [most, end] = [every, final].map((networks) =>
      guidedPredict(networks, { beside }, guidances, sampler.plugin.takesShift === true)
    ) as [Predict, Predict];
    const noise = resumeImageNoise(before.state(), [height, width, channels]);
    const predict: Predict = (x, at, share, to, memory) =>
      (to === path.at(-1) ? end : most)(x, at, share, to, memory);
    const x = await run({ sampler, path, process, predict, noise, signal, onStep })
      .finally(() => beside.dispose());
    const pixels = await x.data() as Float32Array;
    x.dispose();
    return pixels;
  }

  return {
    factor,
    channels,
    async decode(x, drawing) {
      const small = (await x.data() as Float32Array).map((value) =>
        Math.max(-1, Math.min(1, value))
      );
      const [, height, width] = x.shape;
      const { values: data, shape } = resample(
        { values: small, shape: x.shape },
        height * factor,
        width * factor,
        pillowBicubic,
      );
      return { shape, data: drawing === undefined ? data : await draw({ shape, data }, drawing) };
    },
    async encode(pixels) {
      const [, height, width] = pixels.shape;
      const values = await pixels.data() as Float32Array;
      const small = resample(
        { values, shape: pixels.shape },
        height / factor,
        width / factor,
        pillowBicubic,
      );
      return tf.tensor4d(small.values, sidesOf(small.shape));
    },
    async release() {
      for (const { network } of [every, final]) await network.release?.();
    },
  };
}

const sidesOf = (shape: readonly number[]) => [...shape] as [number, number, number, number];
