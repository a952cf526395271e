/**
 * How much a network's answers suffer by layers in bytes.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import type { Model } from "../pipeline/model.ts";
import { unetOf } from "../pipeline/denoiser.ts";
import type { Call } from "./calibrate.ts";
import type { Scales } from "./scales.ts";

/** The error of a layer that alone is in bytes. */
export interface Sensitivity {
  readonly layer: string;
  readonly error: number;
}

async function answersOf(network: Compiled, calls: readonly Call[]): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (const call of calls) {
    const answers = await network(...call);
    all.push(await answers[0]?.data() as Float32Array);
    tf.dispose(answers);
  }
  return all;
}

/** `|a - b| / |b|`, over all calls. */
function relativeError(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let [difference, size] = [0, 0];
  b.forEach((values, call) =>
    values.forEach((value, i) => {
      difference += ((a[call]?.[i] ?? NaN) - value) ** 2;
      size += value ** 2;
    })
  );
  return Math.sqrt(difference / size);
}

/** The relative error of a network's answers with those scales. */
export async function errorOf(
  model: Model,
  engine: Engine,
  scales: Scales,
  calls: readonly Call[],
): Promise<number> {
  const { weights } = model.unet;
  const exact = await answersOf(engine.compile(unetOf(model), weights), calls);
  const rounded = await answersOf(engine.compile(unetOf(model), weights, scales), calls);
  return relativeError(rounded, exact);
}

/**
 * The error of each layer by itself, the worst first.
 *
 * @param open Opens an engine for one layer: each has a graph of its own, and all would fill memory
 */
export async function sensitivities(
  model: Model,
  open: () => Promise<Engine>,
  scales: Scales,
  calls: readonly Call[],
  onLayer: (done: number) => void = () => {},
): Promise<Sensitivity[]> {
  const found: Sensitivity[] = [];
  for (const [layer, own] of scales) {
    onLayer(found.length);
    const engine = await open();
    try {
      found.push({ layer, error: await errorOf(model, engine, new Map([[layer, own]]), calls) });
    } finally {
      await engine.dispose();
    }
  }
  return found.sort((a, b) => b.error - a.error);
}
