/**
 * A model on an engine: predictions of a batch of images, guided.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Computation, Engine } from "../engines/engine.ts";
import { classifierGradient } from "../models/encoder_unet.ts";
import { perturbed, receivedAttention } from "../models/self_attention.ts";
import type { Scope } from "../models/scope.ts";
import { type Bits, weightsInBlocks } from "../quantization/blocks.ts";
import { networkInBytes } from "../quantization/network.ts";
import type { TimestepGroup } from "../quantization/scales.ts";
import {
  combine,
  type Guidance,
  type Guided,
  type Images,
  type Level,
  type Need,
  type Prediction,
} from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import { optionsAt } from "../plugins/options.ts";
import { CLEAN } from "../schedules/mod.ts";
import { type Codec, pixelCodec } from "./codec.ts";
import { latentCodec, type LatentOptions } from "./autoencoder.ts";
import { channelsOf, learnsVariance, type Model, openModel } from "./model.ts";
import {
  networkInput,
  type Parameterization,
  parameterization,
  toPrediction,
} from "./prediction.ts";
import { findClass } from "./settings.ts";
import { enlargingCodec } from "./super_resolution.ts";
import { type Before, loadPrior, type Prior } from "./unclip.ts";

/**
 * How the labelled and the unlabelled half of a guided batch are computed: in one call, or in two,
 * which takes half the memory.
 */
export type CfgBatch = "together" | "sequential";

/** A model's networks, ready to compute. */
export interface Denoiser {
  readonly model: Model;
  readonly engine: Engine;
  readonly codec: Codec;
  readonly parameterization: Parameterization;
  /** The UNet: x, t `[batch]` and, where it is class-conditional, labels `[batch]` int32. */
  readonly network: Compiled;
  /** d log p(label | x, t) / dx by the model's classifier, where it has one. */
  readonly gradient?: Compiled | undefined;
  /** `(d answer / d x)ᵀ slope` of the UNet: x, t, slope and labels. */
  readonly pullback?: Compiled | undefined;
  /** The UNet without self-attention in some layers, by their names. */
  readonly perturbed?: ((layers: string) => Compiled) | undefined;
  /** How much attention each place receives in the middle of the UNet, `[batch, tokens]`. */
  readonly attention?: Compiled | undefined;
  /** What draws embeddings of images, where the UNet is told such. */
  readonly prior?: Prior | undefined;
  /** Draws what the networks are told of each image before x; they take no labels until then. */
  readonly before?: Before | undefined;
  /** The networks of another model on the same engine, opened once. */
  readonly other?: ((model: string) => Networks) | undefined;
  /** The layers of the network that are computed in bytes. */
  readonly scales?: readonly TimestepGroup[] | undefined;
  /** `together` where absent. */
  readonly cfgBatch?: CfgBatch | undefined;
}

/** The part of a denoiser that predictions take. */
export interface Networks
  extends Omit<Denoiser, "model" | "engine" | "codec" | "prior" | "before"> {
  readonly model: Pick<Model, "name" | "nullClass" | "labels">;
}

/** A model's UNet as a computation: x, t and what else it is shown. */
export function networkOf({ unet }: Pick<Model, "unet">): Computation {
  return (scope, ...inputs) => [unet.answer(scope, ...inputs as [tf.Tensor, tf.Tensor])];
}

/** How a model is put on an engine. */
export interface LoadOptions extends LatentOptions {
  /** Layers of the UNet that are computed in bytes; slopes stay float32. */
  readonly scales?: readonly TimestepGroup[] | undefined;
  /** Bits of the weights of all UNets in blocks; absent where they stay as they are. */
  readonly bits?: Bits | undefined;
}

/** Puts a model on an engine. */
export function loadDenoiser(
  model: Model,
  engine: Engine,
  cfgBatch?: CfgBatch,
  { scales, bits, ...latents }: LoadOptions = {},
): Denoiser {
  const { unet, classifier, unclip } = model;
  const weights = bits === undefined ? unet.weights : weightsInBlocks(unet.weights, bits);
  const channels = channelsOf(model);
  const others = new Map<string, Networks>();
  const blind = new Map<string, Compiled>();
  const network = networkOf(model);
  const unetOf = (...inputs: tf.Tensor[]) => (scope: Scope) =>
    unet.answer(scope, ...inputs as [tf.Tensor, tf.Tensor]);
  // What a perturbed network answers is set beside the network's own: both are rounded alike.
  const compiled = (computation: Computation) =>
    scales === undefined
      ? engine.compile(computation, weights)
      : networkInBytes(engine, computation, weights, scales);
  return {
    model,
    engine,
    codec: codecOf(model, engine, latents),
    prior: unclip && loadPrior(unclip, engine, cfgBatch),
    cfgBatch,
    parameterization: parameterization(model.scheduler, learnsVariance(model)),
    scales,
    network: compiled(network),
    perturbed(layers) {
      const known = blind.get(layers);
      if (known !== undefined) return known;
      const made = compiled((scope, ...inputs) => [perturbed(unetOf(...inputs), scope, layers)]);
      blind.set(layers, made);
      return made;
    },
    attention: engine.compile(
      (scope, ...inputs) => [receivedAttention(unetOf(...inputs), scope)],
      weights,
    ),
    pullback: engine.compile(
      (scope, ...inputs) => {
        const [x, t, slope, ...more] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor];
        const gradient = tf.grad((x) => unet.answer(scope, x, t, ...more))(x, slope) as Images;
        const [batch, height, width] = gradient.shape;
        return [tf.slice(gradient, [0, 0, 0, 0], [batch, height, width, channels])];
      },
      weights,
    ),
    other(name) {
      const known = others.get(name);
      if (known !== undefined) return known;
      const opened = loadDenoiser(otherModel(name, model), engine, cfgBatch, { bits });
      others.set(name, opened);
      return opened;
    },
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

/** What stands between a model's x and its pixels. */
function codecOf(model: Model, engine: Engine, latents: LatentOptions): Codec {
  const { autoencoder, unclip, scheduler } = model;
  if (unclip !== undefined) return enlargingCodec(unclip.superResolution, engine);
  if (autoencoder === undefined) return pixelCodec(scheduler, channelsOf(model));
  const scaled = model.pipeline !== "LDMSuperResolutionPipeline";
  return latentCodec(autoencoder, engine, { ...latents, scaled });
}

/** Frees a denoiser's networks, but not what makes pixels of its latents. */
export async function releaseNetworks(
  { network, pullback, attention, gradient }: Denoiser,
): Promise<void> {
  for (const compiled of [network, pullback, attention, gradient]) await compiled?.release?.();
}

/** A model that is asked about the images of another one. */
function otherModel(name: string, { name: own, unet, labels }: Model): Model {
  const other = openModel(name);
  const fail = (what: string) =>
    new TypeError(`Cannot use ${name} beside ${own}: it has other ${what}, so it must be another`);
  const theirs = other.unet;
  if (theirs.inChannels !== unet.inChannels || theirs.edge !== unet.edge) throw fail("images");
  if (other.labels.join() !== labels.join()) throw fail("classes");
  return other;
}

/** A class of each image and its weight among several. */
export interface Part {
  readonly labels: Int32Array;
  readonly weights: Float32Array;
}

/** What a batch of images is to show. */
export interface Conditions {
  /** The class that the network is given for each image; the null class for none. */
  readonly network?: Int32Array | undefined;
  /**
   * Where an image shows several classes, all of them; each image's weights sum to 1. Their scores
   * are composed (Liu et al. 2022, arXiv 2206.01714, equation 11).
   */
  readonly blend?: readonly Part[] | undefined;
  /** Images that the network sees beside x, as large as x; the caller's. */
  readonly beside?: Images | undefined;
  /** The class that a classifier pulls each image to; none where an image has no class. */
  readonly classifier?: Int32Array | undefined;
}

/**
 * Predicts clean images behind noisy ones; `share` is how much of the path lies behind, `to` is
 * where the step goes, and `memory` holds what guidances remember, for the caller to keep.
 */
export type Predict = (
  x: Images,
  at: Level,
  share: number,
  to?: Level,
  memory?: unknown[],
) => Promise<Prediction>;

/**
 * The guided prediction of a batch: the network's answer, then each guidance that is active, in
 * order. All answers that they need of the network are computed in one call, or one after another
 * where `cfgBatch` is `sequential`.
 *
 * @param takesShift whether the sampler adds a prediction's shift.
 * @throws {TypeError} Where a guidance needs what the model does not have.
 * @throws {RangeError} Where a guidance names a class that there is not.
 */
export function guidedPredict(
  networks: Networks,
  conditions: Conditions,
  guidances: readonly Chosen<Guidance>[],
  takesShift: boolean,
): Predict {
  const { parameterization, model } = networks;
  const all = guidances.map((chosen) => ({
    ...chosen,
    ...answersFor(chosen, networks, conditions),
  }));
  const { network: labels, blend, beside } = conditions;
  const inputOf = (x: Images, at: Level): Images => {
    const input = networkInput(x, at, parameterization);
    return beside === undefined ? input : tf.concat([input, beside], 3);
  };
  const free = labels?.map(() => model.nullClass ?? 0);
  return async (x, at, share, to, memory = []) => {
    const active = [...all.entries()].filter(([, { from, until }]) =>
      from <= share && (share < until || until === 1)
    );
    const asked = active.flatMap(([, { plugin, classes }]) => [
      ...plugin.needs?.includes("unconditional") && free ? [free] : [],
      ...classes ? [classes] : [],
    ]);
    const parts = blend?.map(({ labels }) => labels) ?? (labels ? [labels] : []);
    const answers = await callNetwork(networks, [...asked, ...parts], inputOf(x, at), at);
    const predictionOf = (answers: ReadonlyMap<string, Images>, x: Images) => {
      const answerOf = (labels?: Int32Array) =>
        toPrediction(answers.get(keyOf(labels)) as Images, x, at, parameterization, to);
      return { answerOf, labelled: blend ? blended(blend, answerOf) : answerOf(labels) };
    };
    const { answerOf, labelled: unguided } = predictionOf(answers, x);
    const labelledBy = async (network: Compiled, x: Images) => {
      const answers = await callNetwork({ ...networks, network }, parts, inputOf(x, at), at);
      return predictionOf(answers, x).labelled;
    };
    let prediction = unguided;
    for (const [index, { plugin, options, loss, classes, other, gradient }] of active) {
      const lacks = (need: Need) => new TypeError(`it must list "${need}" in needs`);
      const has = (need: Need) => plugin.needs?.includes(need) === true;
      const ask = async (need: Need, get: () => Prediction | Promise<Prediction>) => {
        if (!has(need)) throw lacks(need);
        return await get();
      };
      try {
        const made: Guided | undefined = await plugin.guide(prediction, {
          x,
          at,
          to: to ?? CLEAN,
          share,
          unguided,
          unconditional: () => ask("unconditional", () => answerOf(free)),
          ofClass: () => ask("class", () => answerOf(classes)),
          ofModel: () => ask("model", () => other?.(x, at, share, to) ?? unguided),
          classifierGradient: async () => {
            if (gradient === undefined) throw lacks("classifier");
            return await gradient(x, at);
          },
          loss(x0, at) {
            if (loss === undefined) throw lacks("loss");
            const unit = parameterization.type === "score"; // its pixels are from 0 to 1
            return loss(unit ? tf.sub(tf.mul(x0, 2), 1) : x0, at);
          },
          throughNetwork: (slope) =>
            throughNetwork(networks, blend ?? [{ labels }], answers, slope, x, at, inputOf),
          perturbed: () =>
            ask(
              "perturbed",
              () =>
                labelledBy(
                  (networks.perturbed as NonNullable<Networks["perturbed"]>)(
                    `${options["layers"]}`,
                  ),
                  x,
                ),
            ),
          again: (x) => ask("again", () => labelledBy(networks.network, x)),
          async attention() {
            if (!has("attention")) throw lacks("attention");
            return await callAttention(networks, parts[0], inputOf(x, at), at);
          },
          takesShift,
          options: optionsAt(plugin.options, options, share),
        }, memory[index]);
        const { history, ...guided } = made ?? {};
        memory[index] = history;
        prediction = guided as Prediction; // which is checked below
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

/** What a guidance will ask for, beside the network's own answers; refuses what there is not. */
function answersFor(
  { plugin, options }: Chosen<Guidance>,
  networks: Networks,
  conditions: Conditions,
): {
  readonly classes?: Int32Array | undefined;
  readonly other?: Predict | undefined;
  readonly gradient?: ((x: Images, at: Level) => Promise<Images>) | undefined;
} {
  const { model } = networks;
  const { network: labels } = conditions;
  const [name, file] = [`${options["class"] ?? ""}`, `${options["model"] ?? ""}`];
  const needs = (need: Need) => plugin.needs?.includes(need) === true;
  const fail = (reason: string) =>
    new TypeError(`Cannot use guidance "${plugin.name}" with ${model.name}: ${reason}`);
  if (needs("unconditional") && model.nullClass === undefined) {
    throw fail("the model has no null class, so it predicts nothing without a label");
  }
  if (needs("class") && name === "") throw fail("name a class, as in class=3");
  const label = needs("class") ? findClass(model, name) : "none";
  const number = label === "none" ? model.nullClass ?? 0 : model.labels.indexOf(label);
  if (needs("model") && file === "") throw fail("name a model, as in model=runs/early");
  const other = file === "" || !(needs("model") || needs("classifier"))
    ? networks
    : networks.other?.(file);
  if (other === undefined) throw fail("no other model can be opened here");
  if (needs("classifier") && other.gradient === undefined) {
    throw fail("the model has no classifier/ folder; train one with train-classifier");
  }
  if (needs("classifier") && conditions.classifier === undefined) {
    throw fail("it needs a class to pull the images to; give one with --class");
  }
  if (needs("loss") && networks.pullback === undefined) throw fail("it has no slope");
  if (
    needs("perturbed") && networks.perturbed === undefined ||
    needs("attention") && networks.attention === undefined
  ) {
    throw fail("its self-attention cannot be reached");
  }
  return {
    classes: needs("class") ? labels?.map(() => number) : undefined,
    other: needs("model") ? guidedPredict(other, conditions, [], false) : undefined,
    gradient: needs("classifier") ? (x, at) => callGradient(other, conditions, x, at) : undefined,
  };
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

/** The composed prediction of several classes: scores, hence x0 and eps, by their weights. */
function blended(blend: readonly Part[], answerOf: (labels: Int32Array) => Prediction): Prediction {
  const answers = blend.map(({ labels, weights }) => {
    return { ...answerOf(labels), weight: tf.tensor4d(weights, [weights.length, 1, 1, 1]) };
  });
  const sum = (half: "x0" | "eps") =>
    combine(...answers.map((answer): [tf.Tensor, Images] => [answer.weight, answer[half]]));
  const mix = answers[0]?.mix; // a variance is no score: that of the first class stands
  return { x0: sum("x0"), eps: sum("eps"), ...(mix && { mix }) };
}

const keyOf = (labels: Int32Array | undefined): string => labels?.join() ?? "";

/** The network's answers to lists of labels, each different one once, by their keys. */
async function callNetwork(
  { network, cfgBatch }: Networks,
  asked: readonly Int32Array[],
  x: Images, // with what is beside it
  at: Level,
): Promise<ReadonlyMap<string, Images>> {
  const [batch] = x.shape;
  const lists = [...new Map(asked.map((labels) => [keyOf(labels), labels])).values()];
  const call = async (labels?: Int32Array): Promise<Images> => {
    const count = (labels?.length ?? batch) / batch;
    const [raw] = await network(
      count === 1 ? x : tf.concat(Array<Images>(count).fill(x)),
      tf.fill([count * batch], at.t),
      ...labels ? [tf.tensor1d(labels, "int32")] : [],
    );
    return raw as Images;
  };
  if (lists.length === 0) return new Map([["", await call()]]); // of a network without classes
  const answers: Images[] = [];
  if (cfgBatch === "sequential") {
    for (const labels of lists.toReversed()) answers.unshift(await call(labels)); // labelled first
  } else {
    const labels = Int32Array.from(lists.flatMap((list) => [...list]));
    answers.push(...tf.split(await call(labels), lists.length) as Images[]);
  }
  return new Map(lists.map((labels, i) => [keyOf(labels), answers[i] as Images]));
}

/** `(d x0 / d x)ᵀ slope` of the labelled answer, composed where it is of several classes. */
async function throughNetwork(
  { pullback, parameterization }: Networks,
  parts: readonly { readonly labels?: Int32Array | undefined; readonly weights?: Float32Array }[],
  answers: ReadonlyMap<string, Images>,
  slope: Images,
  x: Images,
  at: Level,
  inputOf: (x: Images, at: Level) => Images,
): Promise<Images> {
  if (pullback === undefined) throw new TypeError("the model has no slope");
  const slopes: Images[] = [];
  for (const { labels, weights } of parts) {
    const own = weights ? tf.mul(slope, tf.tensor4d(weights, [weights.length, 1, 1, 1])) : slope;
    const clean = (raw: tf.Tensor, x: tf.Tensor) => {
      const { x0 } = toPrediction(raw as Images, x as Images, at, parameterization);
      return tf.add(x0, tf.mul(x, 0)); // tf.grads refuses what x is no part of
    };
    const raw = answers.get(keyOf(labels)) as Images;
    const [byAnswer, direct] = tf.grads(clean)([raw, x], own) as [Images, Images];
    const [through] = await pullback(
      inputOf(x, at),
      tf.fill([x.shape[0]], at.t),
      byAnswer,
      ...labels ? [tf.tensor1d(labels, "int32")] : [],
    );
    slopes.push(direct, networkInput(through as Images, at, parameterization)); // a factor alone
  }
  return tf.addN(slopes);
}

/** The attention that each place receives, spread over the pixels that it stands for. */
async function callAttention(
  { attention }: Networks,
  labels: Int32Array | undefined,
  x: Images, // with what is beside it
  at: Level,
): Promise<Images> {
  const [batch, height, width] = x.shape;
  const [received] = await (attention as Compiled)( // which was checked before the first step
    x,
    tf.fill([batch], at.t),
    ...labels ? [tf.tensor1d(labels, "int32")] : [],
  );
  const side = Math.round(Math.sqrt(height * width * batch / (received?.size ?? 1)));
  const map = tf.reshape(received as tf.Tensor, [batch, height / side, width / side, 1]) as Images;
  return tf.image.resizeNearestNeighbor(map, [height, width]);
}

async function callGradient(
  { gradient }: Networks,
  { classifier: labels }: Conditions,
  x: Images,
  at: Level,
): Promise<Images> {
  const [slope] = await (gradient as Compiled)(
    x,
    tf.fill([x.shape[0]], at.t),
    tf.tensor1d(labels as Int32Array, "int32"), // both were checked before the first step
  );
  return slope as Images;
}
