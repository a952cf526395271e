/**
 * Calibration: a model draws images, and what its layers take and give on the way is gathered. So the
 * ranges are those of all timesteps that a sampler visits, labelled and unlabelled: they drift with t
 * (PTQ4DM, arXiv 2211.15736; Q-Diffusion, arXiv 2302.04304).
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import { loadDenoiser, unetOf } from "../pipeline/denoiser.ts";
import { type Draw, drawBatches } from "../pipeline/draw.ts";
import type { Model } from "../pipeline/model.ts";
import { Observer, type SeenLayer } from "./observer.ts";

/** The inputs of one call of the network, kept. */
export type Call = readonly tf.Tensor[];

/** What a calibration gathered. */
export interface Calibrated {
  readonly layers: ReadonlyMap<string, SeenLayer>;
  /** Some calls of the first batch, spread over the path, for tests of the scales; to be disposed. */
  readonly calls: readonly Call[];
}

const CALLS = 4;

/**
 * Draws images with float32 layers that are looked at.
 *
 * @throws {TypeError} Where the engine cannot compute in bytes.
 */
export async function calibrate(model: Model, engine: Engine, draw: Draw): Promise<Calibrated> {
  const { bytes, description } = engine;
  if (bytes === undefined) throw new TypeError(`Cannot calibrate on ${description}`);
  const observer = new Observer();
  const calls: Call[] = [];
  let batch = 1;
  let number = 0;
  const every = Math.max(1, Math.floor((draw.plan.levels.length - 1) / CALLS));
  const watched = bytes.watch(
    unetOf(model),
    model.unet.weights,
    (layers) => observer.add(layers, batch),
  );
  const network: Compiled = (...inputs) => {
    batch = inputs[0]?.shape[0] ?? 1;
    if (number++ % every === 0 && calls.length < CALLS) {
      calls.push(inputs.map((input) => tf.keep(tf.clone(input))));
    }
    return watched(...inputs);
  };
  try {
    const denoiser = { ...loadDenoiser(model, engine), network };
    for await (const _ of drawBatches(denoiser, draw));
  } catch (error) {
    tf.dispose(calls.flat());
    throw error;
  }
  return { layers: observer.layers, calls };
}
