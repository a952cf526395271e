/**
 * How much a network's answers suffer by layers in bytes.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import type { Model } from "../pipeline/model.ts";
import { networkOf } from "../pipeline/denoiser.ts";
import type { Call } from "./calibrate.ts";
import { networkInBytes } from "./network.ts";
import type { TimestepGroup } from "./scales.ts";

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
  groups: readonly TimestepGroup[],
  calls: readonly Call[],
): Promise<number> {
  const { weights } = model.unet;
  const exact = await answersOf(engine.compile(networkOf(model), weights), calls);
  return relativeError(
    await answersOf(networkInBytes(engine, networkOf(model), weights, groups), calls),
    exact,
  );
}

const GRAPHS = 8; // open at once in an engine: each holds a network's weights

/**
 * The error of each layer by itself, the worst first.
 *
 * @param open Opens an engine; what it has opened is freed with it
 * @param onLayer Told how many are done; what it throws ends the search
 */
export async function sensitivities(
  model: Model,
  open: () => Promise<Engine>,
  groups: readonly TimestepGroup[],
  calls: readonly Call[],
  onLayer: (done: number) => void = () => {},
): Promise<Sensitivity[]> {
  const { weights } = model.unet;
  const found: Sensitivity[] = [];
  let exact: Float32Array[] | undefined;
  const layers = [...new Set(groups.flatMap(({ scales }) => [...scales.keys()]))];
  for (let first = 0; first < layers.length; first += GRAPHS) {
    const engine = await open();
    try {
      exact ??= await answersOf(engine.compile(networkOf(model), weights), calls);
      for (const layer of layers.slice(first, first + GRAPHS)) {
        onLayer(found.length);
        const alone = groups.map(({ below, scales }) => {
          return { below, scales: new Map([...scales].filter(([name]) => name === layer)) };
        });
        const network = networkInBytes(engine, networkOf(model), weights, alone);
        found.push({ layer, error: relativeError(await answersOf(network, calls), exact) });
      }
    } finally {
      await engine.dispose();
    }
  }
  return found.sort((a, b) => b.error - a.error);
}
