/**
 * The whole plugin contract. A sampler or a guidance imports this file and tfjs, nothing else;
 * files outside the project import it as `denoise/plugin`.
 *
 * @module
 */
import * as tf from "tfjs";

/** Images as `[batch, height, width, channel]`, float32; pixels lie in [-1, 1]. */
export type Images = tf.Tensor4D;

/**
 * A noise level: `x = alpha * x0 + sigma * eps`, for variance-preserving (alpha² + sigma² = 1),
 * variance-exploding (alpha = 1) and flow models (alpha = 1 - sigma) alike.
 */
export interface Level {
  /** What the network is conditioned on; samplers only pass it along. */
  readonly t: number;
  /** The share of the clean image, in [0, 1]. */
  readonly alpha: number;
  /** The standard deviation of the noise, at least 0. */
  readonly sigma: number;
}

/**
 * All levels of the process that a path's levels were chosen from. t is interpolated where the network
 * was trained at whole timesteps, and stays within them.
 */
export interface NoiseProcess {
  /** The level whose sigma / alpha is `ratio`, from 0 (clean) to Infinity (nothing left). */
  atRatio(ratio: number): Level;
  /** The level that the network knows as t. */
  atTime(t: number): Level;
}

/** One answer of the model. Both halves always satisfy `x = alpha * x0 + sigma * eps`. */
export interface Prediction {
  /** The clean images that the model sees behind x. */
  readonly x0: Images;
  /** The noise that it sees in x. */
  readonly eps: Images;
  /** Learned variance in [0, 1]: 0 is its lower bound, 1 its upper (Improved DDPM, equation 15). */
  readonly mix?: Images | undefined;
  /** A gradient that a stochastic sampler adds to its mean times its variance (ADM, Algorithm 1). */
  readonly shift?: Images | undefined;
}

/** One option of a plugin as data: its help, its default and its check. */
export type Option =
  | {
    readonly type: "number";
    readonly help: string;
    readonly default: number;
    readonly min?: number;
    readonly max?: number;
    readonly integer?: true;
    /** Of a guidance: true where it may change along the path, as in `7x5+1x15` or `linear:7:1`. */
    readonly varies?: true;
  }
  | { readonly type: "flag"; readonly help: string; readonly default: boolean }
  | {
    readonly type: "choice";
    readonly help: string;
    readonly default: string;
    readonly choices: readonly string[];
  }
  | {
    readonly type: "text";
    readonly help: string;
    readonly default: string;
    /** What stands for it in help, such as FILE; TEXT where absent. */
    readonly value?: string;
  };

/** A plugin's options by name. */
export type Options = Readonly<Record<string, Option>>;

/** The checked values of a plugin's options. */
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends { readonly choices: readonly (infer C)[] } ? C
    : O[K] extends { readonly type: "flag" } ? boolean
    : O[K] extends { readonly type: "text" } ? string
    : number;
};

/** What samplers and guidances have in common. */
export interface Plugin<O extends Options> {
  /** The file's name without its ending. */
  readonly name: string;
  /** One line for the list of plugins. */
  readonly summary: string;
  readonly paper: `https://${string}`;
  readonly options: O;
}

/** Moves images from one level to the next. H is what it remembers between steps. */
export interface Sampler<O extends Options = Options, H = unknown> extends Plugin<O> {
  /** Its order of convergence with its default options; absent where it draws noise. */
  readonly order?: number;
  /** Calls of the network in a step once it has begun; Infinity where an error decides; else 1. */
  readonly calls?: number;
  /** True where it can step to a noisier level; the host refuses such paths for others. */
  readonly climbs?: boolean;
  /** True where its step adds {@linkcode Prediction.shift}, times its variance, to its mean. */
  readonly takesShift?: boolean;
  /** Replaces the path: one sampler climbs back up, another spaces levels its own way. */
  timeline?(
    path: readonly Level[],
    options: Values<O>,
    process: NoiseProcess,
  ): readonly Level[];
  /** Runs inside a tensor scope: what it returns is kept, everything else is freed. */
  step(
    input: Step<O>,
    history: H | undefined,
  ): Promise<{ readonly x: Images; readonly history?: H }>;
}

/** What a sampler's step is given. */
export interface Step<O extends Options> {
  readonly x: Images;
  readonly from: Level;
  readonly to: Level;
  /** All levels of the run; this step leads from `path[index]`, which is `from`, to the next. */
  readonly path: readonly Level[];
  readonly index: number;
  /** Levels between those of the path, for steps with stages. */
  readonly process: NoiseProcess;
  /** The guided prediction; a step may call it any number of times. */
  readonly predict: (x: Images, at: Level) => Promise<Prediction>;
  /** N(0, 1) shaped like x, each image from its own seed. */
  readonly noise: () => Images;
  readonly options: Values<O>;
}

/**
 * What a guidance may ask for: the prediction without the label; the slope of a classifier; the
 * prediction for its option `class`; that of a worse model, its option `model`; the function that
 * the file of its option `file` exports, and the slope of the network; the prediction without
 * self-attention in the layers of its option `layers`; the attention that each place receives; the
 * prediction for other images.
 */
export type Need = typeof NEEDS[number];
export const NEEDS = [
  "unconditional",
  "classifier",
  "class",
  "model",
  "loss",
  "perturbed",
  "attention",
  "again",
] as const;

/** A prediction, and what the guidance that made it remembers for its next call. */
export interface Guided<H = unknown> extends Prediction {
  readonly history?: H;
}

/**
 * Turns one prediction into another; the host applies guidances left to right. H is what it
 * remembers between calls; a run begins without.
 */
export interface Guidance<O extends Options = Options, H = unknown> extends Plugin<O> {
  /** What it will ask for; checked before the first step. */
  readonly needs?: readonly Need[];
  guide(
    prediction: Prediction,
    input: Guide<O>,
    history?: H,
  ): Guided<H> | Promise<Guided<H>>;
}

/** A penalty of clean images, in differentiable tfjs operations; of a batch it is summed. */
export type Loss = (x0: Images, at: Level) => tf.Tensor;

/** What a guidance is given beside the prediction. */
export interface Guide<O extends Options> {
  readonly x: Images;
  readonly at: Level;
  /** Where the step goes. */
  readonly to: Level;
  /** The share of the path that lies behind, from 0 to below 1. */
  readonly share: number;
  /** The network's answer with the label, before any guidance. */
  readonly unguided: Prediction;
  /** The prediction without the label, computed in one batch with the labelled one. */
  readonly unconditional: () => Promise<Prediction>;
  /** The prediction for the class that the option `class` names, in the same batch. */
  readonly ofClass: () => Promise<Prediction>;
  /** The labelled prediction of the model that the option `model` names. */
  readonly ofModel: () => Promise<Prediction>;
  /** d log p(label | x, t) / dx, shaped like x. */
  readonly classifierGradient: () => Promise<Images>;
  /** What the file of the option `file` exports. */
  readonly loss: Loss;
  /**
   * Takes a slope by clean images to the slope by x: `(d x0 / d x)ᵀ slope`, of the network's x0
   * with the label.
   */
  readonly throughNetwork: (slope: Images) => Promise<Images>;
  /** The labelled prediction with self-attention off in the layers that the option `layers` names. */
  readonly perturbed: () => Promise<Prediction>;
  /**
   * How much attention each place receives in the middle of the network, `[batch, height, width, 1]`
   * as large as x; its mean is 1.
   */
  readonly attention: () => Promise<Images>;
  /** The labelled prediction for other images at the same level. */
  readonly again: (x: Images) => Promise<Prediction>;
  /** True where the sampler adds {@linkcode Prediction.shift} to its mean. */
  readonly takesShift: boolean;
  /** Options that vary along the path have the value of this step. */
  readonly options: Values<O>;
}

/** The sums of each image's values, `[batch, 1, 1, 1]`. */
export function sumOfImage(images: Images): Images {
  return tf.sum(images, [1, 2, 3], true);
}

/** Weighted sum of images. A zero weight skips its term; a lazy term is then never drawn. */
export function combine(...terms: [number | tf.Tensor, Images | (() => Images)][]): Images {
  const used = terms.filter(([weight]) => weight !== 0)
    .map(([weight, term]): Images => tf.mul(typeof term === "function" ? term() : term, weight));
  const [first, ...rest] = used;
  if (first !== undefined) return rest.length === 0 ? first : tf.addN(used);
  const all = terms.map(([, term]) => term);
  const term = all.find((term) => typeof term !== "function") ?? all[0];
  if (term === undefined) throw new TypeError("Cannot combine images: no term was given");
  return tf.zerosLike(typeof term === "function" ? term() : term);
}

/** The prediction at x whose clean images are x0. */
export function fromX0(
  x: Images,
  at: Level,
  x0: Images,
  rest: Partial<Prediction> = {},
): Prediction {
  return { ...rest, x0, eps: combine([1 / at.sigma, x], [-at.alpha / at.sigma, x0]) };
}

/** The prediction at x whose noise is eps. At alpha = 0 noise says nothing of x0: use another form. */
export function fromEps(
  x: Images,
  at: Level,
  eps: Images,
  rest: Partial<Prediction> = {},
): Prediction {
  return { ...rest, eps, x0: combine([1 / at.alpha, x], [-at.sigma / at.alpha, eps]) };
}

/** The prediction at x whose velocity is `v = alpha * eps - sigma * x0` (progressive distillation). */
export function fromV(x: Images, at: Level, v: Images, rest: Partial<Prediction> = {}): Prediction {
  const square = at.alpha ** 2 + at.sigma ** 2;
  return {
    ...rest,
    x0: combine([at.alpha / square, x], [-at.sigma / square, v]),
    eps: combine([at.sigma / square, x], [at.alpha / square, v]),
  };
}
