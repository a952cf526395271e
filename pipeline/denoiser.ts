/**
 * A model on an engine: predictions of a batch of images, guided.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import { classifierGradient } from "../models/encoder_unet.ts";
import { unet2d } from "../models/unet_2d.ts";
import type { Images, Level, Prediction } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import type { Guidance } from "../plugin.ts";
import type { Model } from "./model.ts";
import {
  networkInput,
  type Parameterization,
  parameterization,
  toPrediction,
} from "./prediction.ts";

/**
 * How the labelled and the unlabelled half of a guided batch are computed: in one call, or in two,
 * which takes half the memory.
 */
export type CfgBatch = "together" | "sequential";

/** A model's networks, ready to compute. */
export interface Denoiser {
  readonly model: Model;
  readonly engine: Engine;
  readonly parameterization: Parameterization;
  /** The UNet: x, t `[batch]` and, where it is class-conditional, labels `[batch]` int32. */
  readonly network: Compiled;
  /** d log p(label | x, t) / dx by the model's classifier, where it has one. */
  readonly gradient?: Compiled | undefined;
  /** `together` where absent. */
  readonly cfgBatch?: CfgBatch | undefined;
}

/** The part of a denoiser that predictions take. */
export interface Networks
  extends Pick<Denoiser, "parameterization" | "network" | "gradient" | "cfgBatch"> {
  readonly model: Pick<Model, "name" | "nullClass">;
}

/** Puts a model on an engine. */
export function loadDenoiser(model: Model, engine: Engine, cfgBatch?: CfgBatch): Denoiser {
  const { config, weights } = model.unet;
  const { classifier } = model;
  return {
    model,
    engine,
    cfgBatch,
    parameterization: parameterization(
      model.scheduler,
      config.out_channels === 2 * config.in_channels,
    ),
    network: engine.compile(
      (scope, x, t, labels) => [
        unet2d(scope, config, x as Images, t as tf.Tensor1D, labels as tf.Tensor1D | undefined),
      ],
      weights,
    ),
    gradient: classifier && engine.compile(
      (scope, x, t, labels) => [
        classifierGradient(
          scope,
          classifier.config,
          x as Images,
          t as tf.Tensor1D,
          labels as tf.Tensor1D,
        ),
      ],
      classifier.weights,
    ),
  };
}

/** What a batch of images is to show. */
export interface Conditions {
  /** The class that the network is given for each image; the null class for none. */
  readonly network?: Int32Array | undefined;
  /** The class that a classifier pulls each image to; none where an image has no class. */
  readonly classifier?: Int32Array | undefined;
}

/**
 * Predicts clean images behind noisy ones; `share` is how much of the path lies behind, and `to` is
 * where the step goes.
 */
export type Predict = (x: Images, at: Level, share: number, to?: Level) => Promise<Prediction>;

/**
 * The guided prediction of a batch: the network's answer, then each guidance that is active, in
 * order. Where one of them needs the unconditional half, both are computed in one call, or in two
 * where `cfgBatch` is `sequential`.
 *
 * @param takesShift whether the sampler adds a prediction's shift.
 * @throws {TypeError} Where a guidance needs what the model does not have.
 */
export function guidedPredict(
  networks: Networks,
  conditions: Conditions,
  guidances: readonly Chosen<Guidance>[],
  takesShift: boolean,
): Predict {
  for (const { plugin } of guidances) checkNeeds(plugin, networks, conditions);
  const { parameterization } = networks;
  return async (x, at, share, to) => {
    const active = guidances.filter(({ from, until }) =>
      from <= share && (share < until || until === 1)
    );
    const wantsBoth = active.some(({ plugin }) => plugin.needs?.includes("unconditional"));
    const [labelled, free] = await callNetwork(networks, conditions, x, at, wantsBoth);
    let prediction = toPrediction(labelled, x, at, parameterization, to);
    const unconditional = () => {
      if (free === undefined) throw new TypeError('it must list "unconditional" in needs');
      return Promise.resolve(toPrediction(free, x, at, parameterization, to));
    };
    const gradient = () => callGradient(networks, conditions, x, at);
    for (const { plugin, options } of active) {
      try {
        prediction = await plugin.guide(prediction, {
          x,
          at,
          unconditional,
          classifierGradient: gradient,
          takesShift,
          options,
        });
      } catch (cause) {
        if (!(cause instanceof Error)) throw cause;
        const Kind = cause instanceof RangeError ? RangeError : Error;
        throw new Kind(`Cannot use guidance "${plugin.name}": ${cause.message}`, { cause });
      }
      checkPrediction(prediction, x, plugin.name);
    }
    return prediction;
  };
}

function checkNeeds(plugin: Guidance, { model, gradient }: Networks, conditions: Conditions) {
  const fail = (reason: string) =>
    new TypeError(`Cannot use guidance "${plugin.name}" with ${model.name}: ${reason}`);
  if (plugin.needs?.includes("unconditional") && model.nullClass === undefined) {
    throw fail("the model has no null class, so it predicts nothing without a label");
  }
  if (!plugin.needs?.includes("classifier")) return;
  if (gradient === undefined) {
    throw fail("the model has no classifier/ folder; train one with train-classifier");
  }
  if (conditions.classifier === undefined) {
    throw fail("it needs a class to pull the images to; give one with --class");
  }
}

function checkPrediction(prediction: Prediction, x: Images, name: string): void {
  for (const half of ["x0", "eps"] as const) {
    const shape = (prediction as Partial<Prediction> | undefined)?.[half]?.shape;
    if (shape === undefined || !tf.util.arraysEqual(shape, x.shape)) {
      throw new TypeError(
        `Guidance "${name}" returned ${
          shape === undefined ? `no ${half}` : `${half} of shape [${shape.join(", ")}]`
        }: it must be a tensor of shape [${x.shape.join(", ")}]`,
      );
    }
  }
}

/** The labelled answer, and the unlabelled one where it is wanted, from one call or from two. */
async function callNetwork(
  { network, model, cfgBatch, parameterization }: Networks,
  { network: labels }: Conditions,
  noisy: Images,
  at: Level,
  both: boolean,
): Promise<[Images, Images | undefined]> {
  const x = networkInput(noisy, at, parameterization);
  const [batch] = x.shape;
  if (labels === undefined) { // of a network without classes
    const [raw] = await network(x, tf.fill([batch], at.t));
    return [raw as Images, undefined];
  }
  const nullClass = model.nullClass ?? 0;
  const half = async (classes: Int32Array): Promise<Images> => {
    const [raw] = await network(x, tf.fill([batch], at.t), tf.tensor1d(classes, "int32"));
    return raw as Images;
  };
  if (!both || labels.every((label) => label === nullClass)) {
    const raw = await half(labels);
    return [raw, both ? raw : undefined];
  }
  if (cfgBatch === "sequential") {
    return [await half(labels), await half(new Int32Array(batch).fill(nullClass))];
  }
  const twice = new Int32Array(2 * batch).fill(nullClass, 0, batch);
  twice.set(labels, batch);
  const [raw] = await network(
    tf.concat([x, x]),
    tf.fill([2 * batch], at.t),
    tf.tensor1d(twice, "int32"),
  );
  const [free, labelled] = tf.split(raw as Images, 2) as [Images, Images];
  return [labelled, free];
}

async function callGradient(
  { gradient }: Networks,
  { classifier: labels }: Conditions,
  x: Images,
  at: Level,
): Promise<Images> {
  if (gradient === undefined || labels === undefined) {
    throw new TypeError('it must list "classifier" in needs');
  }
  const [slope] = await gradient(x, tf.fill([x.shape[0]], at.t), tf.tensor1d(labels, "int32"));
  return slope as Images;
}
