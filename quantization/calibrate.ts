/**
 * Calibration: a model draws images, and what its layers take and give on the way is gathered. So the
 * ranges are those of all timesteps that a sampler visits, labelled and unlabelled: they drift with t
 * (PTQ4DM, arXiv 2211.15736; Q-Diffusion, arXiv 2302.04304).
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import { loadDenoiser, networkOf } from "../pipeline/denoiser.ts";
import { type Draw, drawBatches } from "../pipeline/draw.ts";
import type { Model } from "../pipeline/model.ts";
import { Observer, type SeenLayer } from "./observer.ts";
import { groupAt, groupEnds } from "./scales.ts";

/** The inputs of one call of the network, kept. */
export type Call = readonly tf.Tensor[];

/** What a calibration gathered. */
export interface Calibrated {
  /** What was seen of the layers, by groups of timesteps. */
  readonly groups: readonly {
    readonly below: number;
    readonly layers: ReadonlyMap<string, SeenLayer>;
  }[];
  /** Some calls of the first batch, spread over the path, for tests of the scales; to be disposed. */
  readonly calls: readonly Call[];
}

const CALLS = 4;

/**
 * Draws images with float32 layers that are looked at.
 *
 * @param count Groups of timesteps that are looked at by themselves
 * @throws {TypeError} Where the engine cannot compute in bytes.
 */
export async function calibrate(
  model: Model,
  engine: Engine,
  draw: Draw,
  count = 1,
): Promise<Calibrated> {
  const { bytes, description } = engine;
  if (bytes === undefined) throw new TypeError(`Cannot calibrate on ${description}`);
  const timesteps = draw.plan.levels.slice(0, -1).map(({ t }) => t);
  const groups = groupEnds(timesteps, count).map((below) => ({ below, observer: new Observer() }));
  const calls: Call[] = [];
  let batch = 1;
  let t = 0;
  let number = 0;
  const every = Math.max(1, Math.floor((draw.plan.levels.length - 1) / CALLS));
  const watched = bytes.watch(
    networkOf(model),
    model.unet.weights,
    (layers) => groups[groupAt(groups, t)]?.observer.add(layers, batch),
  );
  const network: Compiled = async (...inputs) => {
    [batch = 1] = inputs[0]?.shape ?? [];
    [t = 0] = await inputs[1]?.data() ?? []; // the same for all images
    if (number++ % every === 0 && calls.length < CALLS) {
      calls.push(inputs.map((input) => tf.keep(tf.clone(input))));
    }
    return await watched(...inputs);
  };
  try {
    const denoiser = { ...loadDenoiser(model, engine), network };
    for await (const _ of drawBatches(denoiser, draw));
  } catch (error) {
    tf.dispose(calls.flat());
    throw error;
  }
  return { groups: groups.map(({ below, observer: { layers } }) => ({ below, layers })), calls };
}
