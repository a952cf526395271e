/**
 * Runs a pipeline's folder from the seeds that the original software had.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import { imageNoise } from "../noise/mod.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { drawBatches } from "../pipeline/draw.ts";
import { edgeOf, openModel } from "../pipeline/model.ts";
import { makePlan, specOf } from "../pipeline/plan.ts";
import type { Settings } from "../pipeline/settings.ts";
import type { Images } from "../plugin.ts";
import type { Measure } from "./compare.ts";
import type { Found, Recorded } from "./mod.ts";

/** What the file says of a run, checked. */
interface Run {
  /** One generator an image. */
  readonly seeds: readonly number[];
  readonly steps: number;
}

function readRun(values: Readonly<Record<string, unknown>>, folder: string): Run {
  const fail = (key: string, wanted: string) =>
    new TypeError(
      `Cannot verify "${folder}": ${key} is ${
        JSON.stringify(values[key])
      } in info.json, it must be ${wanted}`,
    );
  const isCount = (value: unknown, least: number): value is number =>
    Number.isSafeInteger(value) && Number(value) >= least;
  const { seeds = [values["seed"] ?? 0], num_inference_steps: steps } = values;
  if (!Array.isArray(seeds) || !seeds.every((seed) => isCount(seed, 0)) || seeds.length === 0) {
    throw fail("seeds", "a list of integers");
  }
  if (!isCount(steps, 1)) throw fail("num_inference_steps", "an integer of at least 1");
  return { seeds, steps };
}

/** Images with the channels first, as states are stored. */
function planes(x: Images): Float32Array {
  return tf.tidy(() => tf.transpose(x, [0, 3, 1, 2]).dataSync() as Float32Array);
}

/**
 * Draws as the original did: for each value of eta that the file's names begin with, as in
 * `eta0.images`, or else once.
 */
export async function* runPipeline(
  folder: string,
  recorded: Recorded,
  values: Readonly<Record<string, unknown>>,
  engine: Engine,
): AsyncGenerator<Found> {
  const run = readRun(values, folder);
  const prefixes = new Set(
    recorded.names.map((name) => name.match(/^eta[\d.]+\d*\./)?.[0] ?? ""),
  );
  const runs = [...prefixes].filter((prefix) => recorded.names.includes(`${prefix}images`));
  for (const prefix of runs) {
    const eta = prefix === "" ? values["eta"] : Number(prefix.slice(3, -1));
    yield* drawOnce(
      folder,
      run,
      { prefix, eta: eta === undefined ? undefined : Number(eta) },
      engine,
    );
  }
}

async function* drawOnce(
  folder: string,
  { seeds, steps }: Run,
  { prefix, eta }: { readonly prefix: string; readonly eta: number | undefined },
  engine: Engine,
): AsyncGenerator<Found> {
  const model = openModel(folder);
  const own = await makePlan(model, { steps });
  const name = own.sampler.plugin.name;
  const plan = eta === undefined || name !== "ddim"
    ? own
    : await makePlan(model, { steps, sampler: `ddim,eta=${eta}` });
  const denoiser = loadDenoiser(model, engine);
  const found = (
    name: string,
    shape: number[],
    data: ArrayLike<number>,
    measure: Measure,
  ): Found => ({
    name: `${prefix}${name}`,
    shape,
    data,
    measure,
  });
  const images: Float32Array[] = [];
  const states: Float32Array[][] = [];
  let shape: number[] = [];
  let pixelShape: number[] = [];
  for (const seed of seeds) {
    const settings: Settings = {
      model: model.name,
      seed,
      count: 1,
      classes: [],
      unconditional: false,
      steps: plan.steps,
      sampler: specOf(plan.sampler),
      guidance: plan.guidances.map(specOf),
      rng: "torch",
    };
    const batches = drawBatches(denoiser, {
      plan,
      settings,
      first: 0,
      end: 1,
      batchSize: 1,
      onStep({ x, step }) {
        const [, height, width, channels] = x.shape;
        shape = [channels, height, width];
        (states[step - 1] ??= []).push(planes(x));
      },
    });
    for await (const { pixels } of batches) {
      pixelShape = pixels.shape.slice(1);
      // As diffusers makes numbers in [0, 1] of them.
      images.push(pixels.data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5))));
    }
  }
  yield found("images", [seeds.length, ...pixelShape], join(images), "unit");
  const all = [states.length, seeds.length, ...shape];
  yield found("traj", all, join(states.flat()), "unit");
  const times = plan.levels.slice(0, -1).map(({ t }) => t);
  const edge = edgeOf(model) / denoiser.codec.factor;
  const noise = seeds.map((seed) => {
    const { draw, shape } = imageNoise("torch", [seed], [edge, edge, denoiser.codec.channels]);
    return tf.tidy(() => planes(tf.tensor4d(draw(), [...shape])));
  });
  yield { ...found("timesteps", [times.length], times, "exact"), name: "timesteps" };
  const start = found("initial_noise", [seeds.length, ...shape], join(noise), "unit");
  yield { ...start, name: "initial_noise" };
}

function join(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
