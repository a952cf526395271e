/**
 * The likelihood of images under the probability-flow ODE (Score-Based Generative Modeling through
 * SDEs, Song et al. 2021, section 4.3 and appendix D.2).
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Computation } from "../engines/engine.ts";
import { levelAt } from "../schedules/mod.ts";
import type { PredictionType } from "../training/objective.ts";
import { splitAnswer, type VarianceType } from "../training/objectives/reverse.ts";
import type { ScopedNetwork } from "./bound_terms.ts";
import { solve, type Tolerances } from "./runge_kutta.ts";

/** The distance of two pixel values in [-1, 1]: what a density of pixels is to be multiplied by. */
const BIN = 2 / 255;

/**
 * The flow of a variance-preserving model over `time = ln(sigma / alpha)`, and an unbiased estimate
 * of its divergence: `dx/dtime = sigma (eps − sigma x)`, with eps the noise that the network sees,
 * and Hutchinson's `probeᵀ (d flow / dx) probe`.
 *
 * It takes x, the probes, t, alpha, sigma (`[batch, 1, 1, 1]` each) and, where the network is
 * class-conditional, labels.
 */
export function flowComputation(
  network: ScopedNetwork,
  { mean, variance }: { readonly mean: PredictionType; readonly variance: VarianceType },
): Computation {
  return (scope, ...inputs) => {
    const [x, probe, t, alpha, sigma] = inputs as [
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor1D,
      tf.Tensor4D,
      tf.Tensor4D,
    ];
    const labels = inputs[5] as tf.Tensor1D | undefined;
    const flow = (x: tf.Tensor): tf.Tensor => {
      const answer = network(scope, x as tf.Tensor4D, t, labels);
      const [told] = splitAnswer(answer, variance);
      return flowOf(told, x as tf.Tensor4D, { alpha, sigma }, mean);
    };
    const { value, grad } = tf.valueAndGrad(flow)(x, probe);
    return [value, tf.sum(tf.mul(grad, probe), [1, 2, 3])];
  };
}

function flowOf(
  told: tf.Tensor4D,
  x: tf.Tensor4D,
  { alpha, sigma }: { readonly alpha: tf.Tensor4D; readonly sigma: tf.Tensor4D },
  mean: PredictionType,
): tf.Tensor4D {
  switch (mean) {
    case "epsilon":
      return tf.mul(tf.sub(told, tf.mul(x, sigma)), sigma);
    case "sample": // eps = (x − alpha x0) / sigma
      return tf.mul(tf.sub(tf.mul(x, alpha), told), alpha);
    case "v_prediction": // eps = alpha v + sigma x
      return tf.mul(tf.mul(told, sigma), alpha);
  }
}

/** A model whose flow is followed. */
export interface FlowModel {
  /** {@linkcode flowComputation} on an engine. */
  readonly flow: Compiled;
  /** ᾱ of every training timestep. */
  readonly alphasCumprod: ArrayLike<number>;
}

/** How a likelihood is computed. */
export interface LikelihoodOptions extends Tolerances {
  /** ±1 for every value of every image, the probes of Hutchinson's estimator. */
  readonly probes: Float32Array;
  readonly onAdvance?: (share: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Log-density of images, in nats: that of the noise at which the flow ends, plus the divergence
 * along the way. Exact for the flow up to the tolerances, but for the spread of the estimated
 * divergence, which has mean 0.
 *
 * Between training timesteps the level is interpolated in ln(sigma / alpha). Steps are chosen for
 * the whole batch.
 */
export async function logLikelihood(
  { flow, alphasCumprod }: FlowModel,
  x0: tf.Tensor4D,
  labels: tf.Tensor1D | undefined,
  { probes, relative, absolute, onAdvance, signal }: LikelihoodOptions,
): Promise<Float64Array> {
  const [batch] = x0.shape;
  const size = x0.size;
  const times = timesOf(alphasCumprod);
  const probe = tf.tensor4d(probes, x0.shape);
  const derivative = async (time: number, state: Float64Array): Promise<Float64Array> => {
    signal?.throwIfAborted();
    const sigma = 1 / Math.hypot(1, Math.exp(-time));
    const alpha = 1 / Math.hypot(1, Math.exp(time));
    const filled = (value: number): tf.Tensor4D => tf.fill([batch, 1, 1, 1], value);
    const inputs = [
      tf.tensor4d(Float32Array.from(state.subarray(0, size)), x0.shape),
      tf.fill([batch], timestepAt(times, time)),
      filled(alpha),
      filled(sigma),
    ] as const;
    const [x, ...others] = inputs;
    const outputs = await flow(x, probe, ...others, ...labels ? [labels] : []);
    const [slope = [], divergence = []] = await Promise.all(outputs.map((part) => part.data()));
    tf.dispose([...inputs, ...outputs]);
    const made = new Float64Array(state.length);
    made.set(slope);
    made.set(divergence, size);
    return made;
  };
  const initial = new Float64Array(size + batch);
  initial.set(await x0.data());
  const interval = [times[0] ?? NaN, times.at(-1) ?? NaN] as const;
  try {
    const end = await solve(derivative, interval, initial, { relative, absolute }, onAdvance);
    const values = size / batch;
    return Float64Array.from({ length: batch }, (_, image) => {
      const noise = end.subarray(image * values, (image + 1) * values);
      const square = noise.reduce((sum, value) => sum + value ** 2, 0);
      return -0.5 * (square + values * Math.log(2 * Math.PI)) + (end[size + image] ?? NaN);
    });
  } finally {
    probe.dispose();
  }
}

/** ln(sigma / alpha) of the training timesteps, rising; a last one without a signal is left out. */
function timesOf(alphasCumprod: ArrayLike<number>): number[] {
  const levels = Array.from(alphasCumprod, (_, t) => levelAt(alphasCumprod, t));
  return levels.filter(({ alpha }) => alpha > 0).map(({ alpha, sigma }) => Math.log(sigma / alpha));
}

/** The training timestep, between two whole ones, at which a time lies. */
function timestepAt(times: readonly number[], time: number): number {
  const after = times.findIndex((each) => each > time);
  if (after < 0) return times.length - 1;
  if (after === 0) return 0;
  const [from = 0, to = 0] = [times[after - 1], times[after]];
  return after - 1 + (time - from) / (to - from);
}

/**
 * Spreads pixels evenly over the width of their value, so that a density tells a probability
 * (uniform dequantization, Theis et al. 2016).
 *
 * @param shares Uniform in [0, 1), one a value.
 */
export function dequantized(pixels: Float32Array, shares: Float32Array): Float32Array {
  return pixels.map((pixel, index) => pixel + BIN * ((shares[index] ?? 0.5) - 0.5));
}

/** Bits per dimension of pixels whose log-density is known, an upper bound on average. */
export function bitsOf(logDensity: number, values: number): number {
  return -logDensity / values / Math.LN2 - Math.log2(BIN);
}
