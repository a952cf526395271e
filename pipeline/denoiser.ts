/**
 * A model on an engine: predictions of a batch of images, guided.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Computation, Engine } from "../engines/engine.ts";
import { attending, attentionLayers, chooseLayers, middleLayer } from "../models/attending.ts";
import { classifierGradient } from "../models/encoder_unet.ts";
import { unet2d } from "../models/unet_2d.ts";
import type { Weights } from "../models/weights.ts";
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
import { type Model, openModel } from "./model.ts";
import {
  networkInput,
  type Parameterization,
  parameterization,
  toPrediction,
} from "./prediction.ts";
import { findClass } from "./settings.ts";

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
  /** `(d answer / d x)ᵀ slope` of the UNet: x, t, slope and labels. */
  readonly pullback?: Compiled | undefined;
  /** The UNet with its self-attention in reach; absent where it is out of reach. */
  readonly attention?: ReachableAttention | undefined;
  /** The networks of another model on the same engine, opened once. */
  readonly other?: ((model: string) => Networks) | undefined;
  /** `together` where absent. */
  readonly cfgBatch?: CfgBatch | undefined;
}

/** The self-attention of a network. */
export interface ReachableAttention {
  /** The names of its layers. */
  readonly layers: readonly string[];
  /** The network over selections of layers, opened once: what `attending` makes of it. */
  open(selections: readonly (readonly string[])[]): Compiled;
}

/** The part of a denoiser that predictions take. */
export interface Networks extends Omit<Denoiser, "model" | "engine"> {
  readonly model: Pick<Model, "name" | "nullClass" | "labels">;
}

/** Puts a model on an engine. */
export function loadDenoiser(model: Model, engine: Engine, cfgBatch?: CfgBatch): Denoiser {
  const { config, weights } = model.unet;
  const { classifier } = model;
  const others = new Map<string, Networks>();
  const network: Computation = (scope, x, t, labels) => [
    unet2d(scope, config, x as Images, t as tf.Tensor1D, labels as tf.Tensor1D | undefined),
  ];
  return {
    model,
    engine,
    cfgBatch,
    parameterization: parameterization(
      model.scheduler,
      config.out_channels === 2 * config.in_channels,
    ),
    network: engine.compile(network, weights),
    attention: reachable(engine, network, weights),
    pullback: engine.compile(
      (scope, x, t, slope, labels) => {
        const answer = (x: tf.Tensor) =>
          unet2d(scope, config, x as Images, t as tf.Tensor1D, labels as tf.Tensor1D | undefined);
        return [tf.grad(answer)(x as Images, slope)];
      },
      weights,
    ),
    other(name) {
      const known = others.get(name);
      if (known !== undefined) return known;
      const opened = loadDenoiser(otherModel(name, model), engine, cfgBatch);
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

/** The self-attention of a network of these weights. */
function reachable(engine: Engine, network: Computation, weights: Weights): ReachableAttention {
  const layers = attentionLayers(weights);
  const opened = new Map<string, Compiled>();
  return {
    layers,
    open(selections) {
      const key = JSON.stringify(selections);
      const known = opened.get(key);
      if (known !== undefined) return known;
      const computation = attending(network, selections, middleLayer(layers));
      const compiled = engine.compile(computation, weights);
      opened.set(key, compiled);
      return compiled;
    },
  };
}

/** A model that is asked about the images of another one. */
function otherModel(name: string, { name: own, unet, labels }: Model): Model {
  const other = openModel(name);
  const fail = (what: string) =>
    new TypeError(`Cannot use ${name} beside ${own}: it has other ${what}, so it must be another`);
  const [theirs, ours] = [other.unet.config, unet.config];
  if (theirs.in_channels !== ours.in_channels || theirs.sample_size !== ours.sample_size) {
    throw fail("images");
  }
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
  const { network: labels, blend } = conditions;
  const free = labels?.map(() => model.nullClass ?? 0);
  const selections = distinct(all.flatMap(({ layers }) => layers ? [layers] : []), String);
  const parts: readonly MaybePart[] = blend ?? [{ labels }];
  const ofParts = (answers: Answers, x: Images, at: Level, to?: Level, layers?: Layers) => {
    const answerOf = ({ labels }: MaybePart) =>
      toPrediction(rawOf(answers, { labels, layers }), x, at, parameterization, to);
    return blend ? blended(blend, answerOf) : answerOf({ labels });
  };
  return async (x, at, share, to, memory = []) => {
    const active = [...all.entries()].filter(([, { from, until }]) =>
      from <= share && (share < until || until === 1)
    );
    const asked = active.flatMap(([, { plugin, classes, layers }]): Asked[] => [
      ...plugin.needs?.includes("unconditional") && free ? [{ labels: free }] : [],
      ...classes ? [{ labels: classes }] : [],
      ...layers ? parts.map(({ labels }) => ({ labels, layers })) : [],
    ]);
    const call = async (x: Images, asked: readonly Asked[], reach: boolean) =>
      await callNetwork(networks, asked, x, at, reach ? selections : undefined);
    const reach = active.some(([, { layers, attention }]) => layers !== undefined || attention);
    const answers = await call(x, [...asked, ...parts], reach);
    const answerOf = (labels?: Int32Array) =>
      toPrediction(rawOf(answers, { labels }), x, at, parameterization, to);
    const unguided = ofParts(answers, x, at, to);
    let prediction = unguided;
    for (const [index, { plugin, options, loss, classes, other, gradient, layers }] of active) {
      const lacks = (need: Need) => new TypeError(`it must list "${need}" in needs`);
      const has = (need: Need) => plugin.needs?.includes(need) === true;
      const ask = async <T>(need: Need, get: () => T | Promise<T>): Promise<T> => {
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
            return loss(x0, at);
          },
          throughNetwork: (slope) => throughNetwork(networks, parts, answers, slope, x, at),
          perturbed: () => ask("perturbed", () => ofParts(answers, x, at, to, layers)),
          attention: () => ask("attention", () => attentionOf(answers, parts)),
          again: async (x) => ofParts(await call(x, parts, false), x, at, to),
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
  /** Those whose maps are replaced. */
  readonly layers?: Layers | undefined;
  /** Whether it sees the map of self-attention. */
  readonly attention: boolean;
} {
  const { model, attention } = networks;
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
  const layersOf = (text: string): Layers => {
    try {
      return chooseLayers(text, attention?.layers ?? []);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new RangeError(fail(cause.message).message, { cause });
    }
  };
  if (needs("loss") && networks.pullback === undefined) throw fail("it has no slope");
  if (needs("perturbed") && attention === undefined) {
    throw fail("its self-attention is out of reach");
  }
  if (needs("attention") && middleLayer(attention?.layers ?? []) === undefined) {
    throw fail("there is no self-attention in the middle of its network");
  }
  return {
    layers: needs("perturbed") ? layersOf(`${options["layers"] ?? ""}`) : undefined,
    attention: needs("attention"),
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
function blended(blend: readonly Part[], answerOf: (part: Part) => Prediction): Prediction {
  const answers = blend.map((part) => ({ ...answerOf(part), weight: weightOf(part) }));
  const sum = (half: "x0" | "eps") =>
    combine(...answers.map((it): [tf.Tensor | number, Images] => [it.weight, it[half]]));
  const mix = answers[0]?.mix; // a variance is no score: that of the first class stands
  return { x0: sum("x0"), eps: sum("eps"), ...(mix && { mix }) };
}

/** A part, or what images show that are of one class or of none. */
interface MaybePart {
  readonly labels?: Int32Array | undefined;
  readonly weights?: Float32Array;
}

/** The weights of one class in each image, `[batch, 1, 1, 1]`; 1 where there is but one. */
const weightOf = ({ weights }: MaybePart): tf.Tensor | number =>
  weights === undefined ? 1 : tf.tensor4d(weights, [weights.length, 1, 1, 1]);

/** Names of layers of self-attention. */
type Layers = readonly string[];

/** An answer that the network is asked for. */
interface Asked {
  readonly labels?: Int32Array | undefined;
  /** Those whose maps are to be the identity. */
  readonly layers?: Layers | undefined;
}

/** The network's raw answers and, where it was reached for, its maps of attention, by their keys. */
type Answers = ReadonlyMap<
  string,
  { readonly raw: Images; readonly attention?: Images | undefined }
>;

const keyOf = ({ labels, layers }: Asked): string => `${labels ?? ""}/${layers ?? ""}`;

/** One thing of each key. */
function distinct<T>(things: readonly T[], key: (thing: T) => string): T[] {
  return [...new Map(things.map((thing) => [key(thing), thing])).values()];
}

const rawOf = (answers: Answers, asked: Asked) => answers.get(keyOf(asked))?.raw as Images;

/** The map of attention to the labelled images, of several classes by their weights. */
function attentionOf(answers: Answers, parts: readonly MaybePart[]): Images {
  return combine(...parts.map((part): [tf.Tensor | number, Images] => [
    weightOf(part),
    answers.get(keyOf({ labels: part.labels }))?.attention as Images,
  ]));
}

/**
 * The network's answers, each different one once, by their keys.
 *
 * @param selections of layers, where self-attention is reached for.
 */
async function callNetwork(
  { network, attention, cfgBatch, parameterization }: Networks,
  asked: readonly Asked[],
  noisy: Images,
  at: Level,
  selections?: readonly Layers[],
): Promise<Answers> {
  const x = networkInput(noisy, at, parameterization);
  const [batch] = x.shape;
  const each = distinct(asked, keyOf);
  const compiled = selections ? attention?.open(selections) ?? network : network;
  const call = async (asked: readonly Asked[]): Promise<[Images[], Images[]]> => {
    const count = asked.length;
    const labels = Int32Array.from(asked.flatMap(({ labels }) => [...labels ?? []]));
    const [raw, map] = await compiled(
      count === 1 ? x : tf.concat(Array<Images>(count).fill(x)),
      tf.fill([count * batch], at.t),
      ...selections && selections.length > 0 ? [replacedIn(asked, selections, batch)] : [],
      ...labels.length > 0 ? [tf.tensor1d(labels, "int32")] : [],
    ) as Images[];
    const split = (images?: Images) => images ? tf.split(images, count) as Images[] : [];
    return [split(raw), split(map)];
  };
  const answers: [Images | undefined, Images | undefined][] = [];
  if (cfgBatch === "sequential") {
    for (const one of each.toReversed()) { // labelled first
      const [[raw], [map]] = await call([one]);
      answers.unshift([raw, map]);
    }
  } else {
    const [raws, maps] = await call(each);
    answers.push(...raws.map((raw, i): [Images, Images | undefined] => [raw, maps[i]]));
  }
  return new Map(each.map((asked, i) => {
    const [raw, attention] = answers[i] ?? [];
    return [keyOf(asked), { raw: raw as Images, attention }];
  }));
}

/** Where each image's self-attention is replaced: `[batch, selections]`, 1 or 0. */
function replacedIn(
  asked: readonly Asked[],
  selections: readonly Layers[],
  batch: number,
): tf.Tensor2D {
  const rows = asked.flatMap(({ layers }) =>
    Array(batch).fill(selections.map((selection) => Number(`${selection}` === `${layers}`)))
  );
  return tf.tensor2d(rows);
}

/** `(d x0 / d x)ᵀ slope` of the labelled answer, composed where it is of several classes. */
async function throughNetwork(
  { pullback, parameterization }: Networks,
  parts: readonly MaybePart[],
  answers: Answers,
  slope: Images,
  x: Images,
  at: Level,
): Promise<Images> {
  if (pullback === undefined) throw new TypeError("the model has no slope");
  const slopes: Images[] = [];
  for (const part of parts) {
    const { labels } = part;
    const own = combine([weightOf(part), slope]);
    const clean = (raw: tf.Tensor, x: tf.Tensor) => {
      const { x0 } = toPrediction(raw as Images, x as Images, at, parameterization);
      return tf.add(x0, tf.mul(x, 0)); // tf.grads refuses what x is no part of
    };
    const raw = rawOf(answers, { labels });
    const [byAnswer, direct] = tf.grads(clean)([raw, x], own) as [Images, Images];
    const [through] = await pullback(
      networkInput(x, at, parameterization),
      tf.fill([x.shape[0]], at.t),
      byAnswer,
      ...labels ? [tf.tensor1d(labels, "int32")] : [],
    );
    slopes.push(direct, networkInput(through as Images, at, parameterization)); // a factor alone
  }
  return tf.addN(slopes);
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
