/**
 * Bits per dimension of a model on images: the variational bound (Improved DDPM, section 3), and
 * the likelihood of its flow.
 *
 * @module
 */
import * as tf from "tfjs";
import { imageNoise, philoxAt } from "../noise/mod.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import { alphasCumprodOf, respacedTimesteps } from "../schedules/mod.ts";
import type { Dataset } from "../training/data/dataset.ts";
import { predictionType } from "../training/objective.ts";
import { isLearned, type VarianceType } from "../training/objectives/reverse.ts";
import { boundOfImages, type ScopedNetwork, termComputation } from "./bound_terms.ts";
import { bitsOf, dequantized, flowComputation, logLikelihood } from "./likelihood.ts";
import { measuredBatches, type Portion } from "./measured_images.ts";

/** How a measurement goes on. */
export interface Watched {
  /** Told what share of the work is done. */
  readonly onProgress?: ((share: number) => void) | undefined;
  /** Ends it, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A mean over images. */
export interface Estimate {
  readonly mean: number;
  /** Its standard error. */
  readonly error: number;
}

/** What the bound is made of, in bits per dimension. */
export interface BitsPerDimension {
  readonly images: number;
  /** The bound: all of the following. */
  readonly total: Estimate;
  /** L_T, which no training changes. */
  readonly prior: number;
  /** All L_{t−1} between. */
  readonly between: number;
  /** L_0, the decoder's. */
  readonly decoder: number;
  /** By level of the chain, the cleanest first. */
  readonly levels: {
    readonly timesteps: readonly number[];
    readonly terms: readonly number[];
    readonly x0Errors: readonly number[];
    readonly noiseErrors: readonly number[];
  };
}

/** How the bound is measured. */
export interface BoundOptions extends Portion, Watched {
  /**
   * The steps of the chain: all timesteps, or fewer, respaced evenly. A chain of fewer steps is
   * another model with a bound of its own, not an estimate of the whole one's.
   */
  readonly steps?: number | undefined;
  /** A fixed variance; where absent the one that the network tells, or else the scheduler's. */
  readonly variance?: "small" | "large" | undefined;
}

/** The variational bound of a model on the first images of a data set, x0 clipped as in OpenAI's code. */
export async function bitsPerDimension(
  denoiser: Denoiser,
  data: Dataset,
  { steps, variance, onProgress, signal, ...portion }: BoundOptions,
): Promise<BitsPerDimension> {
  const { model, engine, parameterization } = denoiser;
  const all = alphasCumprodOf(model.scheduler);
  const timesteps = steps === undefined
    ? Array.from(all, (_, t) => t)
    : respacedTimesteps(all.length, `${steps}`).reverse();
  const alphasCumprod = timesteps.map((t) => all[t] ?? NaN);
  const type = variance ?? varianceOf(denoiser);
  const computation = termComputation(
    networkOf(denoiser, type),
    { mean: predictionType(parameterization.type), variance: type, clip: true },
  );
  const terms = engine.compile(computation, model.unet.weights);
  const sums = {
    terms: zeros(alphasCumprod),
    x0: zeros(alphasCumprod),
    noise: zeros(alphasCumprod),
  };
  const totals: number[] = [];
  let prior = 0;
  let levelsDone = 0; // of images
  for await (const { x0, labels, seeds } of measuredBatches(denoiser, data, portion)) {
    const noise = imageNoise("philox", seeds, [data.height, data.width, data.channels]);
    const onLevel = () => {
      levelsDone += seeds.length;
      onProgress?.(levelsDone / portion.count / timesteps.length);
    };
    const model = { terms, alphasCumprod, timesteps };
    try {
      const images = { x0, labels, noise: () => noise.draw() };
      const made = await boundOfImages(model, images, { onLevel, signal });
      totals.push(...made.totals);
      prior += made.priors.reduce((sum, value) => sum + value, 0);
      addTo(sums.terms, made.terms);
      addTo(sums.x0, made.x0Errors);
      addTo(sums.noise, made.noiseErrors);
    } finally {
      tf.dispose([x0, ...labels ? [labels] : []]);
    }
  }
  const mean = (values: Float64Array) => Array.from(values, (value) => value / totals.length);
  const byLevel = mean(sums.terms);
  const [decoder = NaN, ...others] = byLevel;
  return {
    images: totals.length,
    total: estimateOf(totals),
    prior: prior / totals.length,
    between: others.reduce((sum, value) => sum + value, 0),
    decoder,
    levels: { timesteps, terms: byLevel, x0Errors: mean(sums.x0), noiseErrors: mean(sums.noise) },
  };
}

/** How the likelihood of the flow is measured. */
export interface FlowOptions extends Portion, Watched {
  /** Error of a step, as a share of each value and beside it. */
  readonly tolerance: number;
}

/**
 * Bits per dimension by the likelihood of a model's flow, of pixels that are spread evenly over the
 * width of their value. One probe of ±1 an image estimates the divergence.
 */
export async function flowBitsPerDimension(
  denoiser: Denoiser,
  data: Dataset,
  { tolerance, onProgress, signal, ...portion }: FlowOptions,
): Promise<{ readonly images: number; readonly total: Estimate }> {
  const { model, engine, parameterization } = denoiser;
  const variance = varianceOf(denoiser);
  const computation = flowComputation(
    networkOf(denoiser, variance),
    { mean: predictionType(parameterization.type), variance },
  );
  const flow = engine.compile(computation, model.unet.weights);
  const alphasCumprod = alphasCumprodOf(model.scheduler);
  const totals: number[] = [];
  for await (const { x0, labels, seeds } of measuredBatches(denoiser, data, portion)) {
    const size = x0.size / seeds.length;
    const uniform = (stream: number) =>
      Float32Array.from(seeds.flatMap((seed) => [...philoxAt(seed, stream).uniform(size)]));
    const pixels = Float32Array.from(await x0.data());
    const spread = tf.tensor4d(dequantized(pixels, uniform(SPREAD)), x0.shape);
    const before = totals.length;
    try {
      const made = await logLikelihood({ flow, alphasCumprod }, spread, labels, {
        probes: uniform(PROBES).map((share) => share < 0.5 ? -1 : 1),
        relative: tolerance,
        absolute: tolerance,
        signal,
        onAdvance: (share) => onProgress?.((before + share * seeds.length) / portion.count),
      });
      totals.push(...Array.from(made, (log) => bitsOf(log, size)));
    } finally {
      tf.dispose([x0, spread, ...labels ? [labels] : []]);
    }
  }
  return { images: totals.length, total: estimateOf(totals) };
}

// Streams of random numbers of an image's seed.
const [SPREAD, PROBES] = [1, 2] as const;

/** The UNet, without what it tells of the variance where that is to be fixed. */
function networkOf({ model, parameterization }: Denoiser, variance: VarianceType): ScopedNetwork {
  const halves = parameterization.learned && !isLearned(variance);
  return (scope, x, t, labels) => {
    const answer = model.unet.answer(scope, x, t, ...labels ? [labels] : []);
    return halves ? tf.split(answer, 2, 3)[0] as tf.Tensor4D : answer;
  };
}

/** The variance of a model's steps: what its network tells, or else its scheduler's. */
function varianceOf({ model: { scheduler }, parameterization }: Denoiser): VarianceType {
  const name = scheduler["variance_type"];
  if (parameterization.learned) return name === "learned" ? "learned" : "learned_range";
  return name === "fixed_large" ? "large" : "small";
}

function estimateOf(values: readonly number[]): Estimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(square / count / Math.max(1, count - 1)) };
}

const zeros = ({ length }: { readonly length: number }) => new Float64Array(length);

function addTo(sums: Float64Array, values: Float64Array): void {
  values.forEach((value, i) => sums[i] = (sums[i] ?? 0) + value);
}
