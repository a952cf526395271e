import * as tf from "tfjs";
import { type EngineName, openEngine } from "../../engines/mod.ts";
import { guidedPredict, loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import type { Guidance, Images, Level } from "../../plugin.ts";
import type { Chosen } from "../../plugins/load.ts";
import { alphasCumprod, linear } from "../../schedules/mod.ts";
import { folderOf } from "../_parity.ts";

/** Engines that guidances are compared on: operations one by one, and a traced graph. */
export const ENGINES: readonly EngineName[] = ["cpu", "onnx"];

/** The images of the fixtures, as PyTorch has them. */
const X_SHAPE = [2, 3, 8, 8] as const;

/** The level of the fixtures: timestep 500 of diffusers' linear betas. */
const alphaBar = alphasCumprod(linear(1000))[500] ?? NaN;
const LEVEL: Level = { t: 500, alpha: Math.sqrt(alphaBar), sigma: Math.sqrt(1 - alphaBar) };

/** Images as PyTorch has them, from those here. */
function planes(images: tf.Tensor): Float32Array {
  return tf.transpose(images, [0, 3, 1, 2]).dataSync() as Float32Array;
}

/** The guided eps for the network of the fixtures at x, and what was kept meanwhile. */
export async function answers(
  name: EngineName,
  x: readonly number[],
  guidances: readonly Chosen<Guidance>[],
  kept: () => readonly tf.Tensor[] = () => [],
): Promise<Float32Array[]> {
  const engine = await openEngine(name);
  try {
    const denoiser = loadDenoiser(openModel(folderOf("unet2d-classcond")), engine);
    const networks = { ...denoiser, model: { ...denoiser.model, nullClass: 10 } };
    const conditions = { network: Int32Array.of(3, 7) };
    const predict = guidedPredict(networks, conditions, guidances, false);
    const images = tf.transpose(tf.tensor4d([...x], [...X_SHAPE]), [0, 2, 3, 1]) as Images;
    const { eps } = await predict(images, LEVEL, 0);
    return [eps, ...kept()].map(planes);
  } finally {
    await engine.dispose();
  }
}
