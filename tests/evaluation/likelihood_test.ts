import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Engine } from "../../engines/engine.ts";
import { eagerEngine } from "../../engines/eager.ts";
import { openEngine } from "../../engines/mod.ts";
import {
  bitsOf,
  dequantized,
  flowComputation,
  logLikelihood,
} from "../../evaluation/likelihood.ts";
import type { ScopedNetwork } from "../../evaluation/bound_terms.ts";
import { philoxAt } from "../../noise/mod.ts";
import { alphasCumprodOf } from "../../schedules/mod.ts";
import { PREDICTION_TYPES, type PredictionType } from "../../training/objective.ts";
import { onCpu } from "../training/_tiny.ts";

const alphasCumprod = alphasCumprodOf({
  beta_schedule: "squaredcos_cap_v2",
  num_train_timesteps: 200,
});
const times = Array.from(alphasCumprod, (share) => 0.5 * Math.log((1 - share) / share));
const FIRST = { alpha: Math.sqrt(alphasCumprod[0]!), sigma: Math.sqrt(1 - alphasCumprod[0]!) };
const EXACT = { relative: 1e-5, absolute: 1e-5 };

/** Clean images are a mixture of Gaussians, the same for each pixel. */
const [WEIGHTS, MEANS, DEVIATIONS] = [[0.3, 0.7], [-0.5, 0.8], [0.1, 0.3]] as const;

/** The level that a network is told by t, a training timestep or one between two. */
function levelOf(t: tf.Tensor1D): { alpha: number; sigma: number } {
  const at = t.dataSync()[0]!;
  const below = Math.min(times.length - 2, Math.floor(at));
  const time = times[below]! + (at - below) * (times[below + 1]! - times[below]!);
  return { alpha: 1 / Math.hypot(1, Math.exp(time)), sigma: 1 / Math.hypot(1, Math.exp(-time)) };
}

/** What a perfect network answers for the mixture; all its images are at one t. */
function network(type: PredictionType): ScopedNetwork {
  return (_, x, t) => {
    const { alpha, sigma } = levelOf(t);
    const parts = WEIGHTS.map((weight, k) => {
      const variance = (alpha * DEVIATIONS[k]!) ** 2 + sigma ** 2;
      const off = tf.sub(x, alpha * MEANS[k]!);
      const clean = tf.add(tf.mul(off, alpha * DEVIATIONS[k]! ** 2 / variance), MEANS[k]!);
      const log = tf.sub(
        Math.log(weight / Math.sqrt(variance)),
        tf.div(tf.square(off), 2 * variance),
      );
      return { clean, log };
    });
    const share = tf.sigmoid(tf.sub(parts[1]!.log, parts[0]!.log));
    const x0 = tf.add(
      tf.mul(parts[1]!.clean, share),
      tf.mul(parts[0]!.clean, tf.sub(1, share)),
    ) as tf.Tensor4D;
    if (type === "sample") return x0;
    const eps = tf.div<tf.Tensor4D>(tf.sub(x, tf.mul(x0, alpha)), sigma);
    return type === "epsilon" ? eps : tf.sub(tf.mul(eps, alpha), tf.mul(x0, sigma));
  };
}

/** The log-density of a pixel at the cleanest level. */
function logDensity(x: number): number {
  const { alpha, sigma } = FIRST;
  return Math.log(WEIGHTS.reduce((sum: number, weight, k) => {
    const variance = (alpha * DEVIATIONS[k]!) ** 2 + sigma ** 2;
    const off = x - alpha * MEANS[k]!;
    return sum + weight * Math.exp(-off * off / 2 / variance) / Math.sqrt(2 * Math.PI * variance);
  }, 0));
}

const cpu = () => eagerEngine("cpu", "the test");

for (const type of PREDICTION_TYPES) {
  Deno.test(`logLikelihood() is that of a mixture in closed form, from ${type}`, () =>
    onCpu(async () => {
      const pixels = [-0.62, -0.5, -0.1, 0.3, 0.8, 1];
      const flow = cpu().compile(
        flowComputation(network(type), { mean: type, variance: "small" }),
        new Map(),
      );
      const x0 = tf.tensor4d(pixels, [3, 1, 2, 1]);
      // The pixels are independent: probes of ±1 give the divergence exactly.
      const probes = Float32Array.from([1, -1, 1, 1, -1, -1]);
      const made = await logLikelihood({ flow, alphasCumprod }, x0, undefined, {
        probes,
        ...EXACT,
      });
      x0.dispose();
      made.forEach((log, image) => {
        const expected = logDensity(pixels[2 * image]!) + logDensity(pixels[2 * image + 1]!);
        assertAlmostEquals(log, expected, 2e-3);
      });
    }));
}

Deno.test("logLikelihood() of pixels that depend on each other is right on average over probes", () =>
  onCpu(async () => {
    // Clean images are N(0, A Aᵀ); the posterior mean of x0 is linear in x.
    const covariance = [[0.6, 0.25], [0.25, 0.5]] as const;
    const mixed: ScopedNetwork = (_, x, t) => {
      const { alpha, sigma } = levelOf(t);
      const whole = covariance.map((row, i) =>
        row.map((value, j) => alpha ** 2 * value + (i === j ? sigma ** 2 : 0))
      );
      const [[p, q], [, r]] = whole as [[number, number], [number, number]];
      const determinant = p * r - q * q;
      const inverse = tf.tensor2d([r, -q, -q, p].map((value) => value / determinant), [2, 2]);
      // eps = sigma Σ⁻¹ x
      return tf.mul(tf.reshape(tf.matMul(tf.reshape(x, [-1, 2]), inverse), x.shape), sigma);
    };
    const flow = cpu().compile(
      flowComputation(mixed, { mean: "epsilon", variance: "small" }),
      new Map(),
    );
    const PROBES = 64;
    const pixel = [0.4, -0.3] as const;
    const x0 = tf.tensor4d(Array.from({ length: PROBES }, () => [...pixel]).flat(), [
      PROBES,
      1,
      2,
      1,
    ]);
    const draws = philoxAt(3).uniform(2 * PROBES);
    const probes = draws.map((share) => share < 0.5 ? -1 : 1);
    const made = await logLikelihood({ flow, alphasCumprod }, x0, undefined, { probes, ...EXACT });
    x0.dispose();
    const { alpha, sigma } = FIRST;
    const [[a, b], [, c]] = covariance;
    const [p, q, r] = [alpha ** 2 * a + sigma ** 2, alpha ** 2 * b, alpha ** 2 * c + sigma ** 2];
    const determinant = p * r - q * q;
    const [x, y] = pixel;
    const square = (r * x * x - 2 * q * x * y + p * y * y) / determinant;
    const expected = -0.5 * (square + Math.log(determinant)) - Math.log(2 * Math.PI);
    const mean = made.reduce((sum, log) => sum + log, 0) / PROBES;
    const spread = Math.sqrt(made.reduce((sum, log) => sum + (log - mean) ** 2, 0) / PROBES);
    assert(spread > 0.05, "a probe alone would be exact here");
    assertAlmostEquals(mean, expected, 3 * spread / Math.sqrt(PROBES));
  }));

Deno.test("the flow's divergence is the same on the traced engine as in plain JavaScript", async () => {
  await tf.setBackend("cpu");
  const smooth: ScopedNetwork = (_, x) =>
    tf.conv2d(tf.sin(x), tf.tensor4d([0.3, -0.2, 0.5, 0.1], [2, 2, 1, 1]), 1, "same");
  const computation = flowComputation(smooth, { mean: "v_prediction", variance: "small" });
  const noise = philoxAt(7).normal(32);
  const one = (value: number) => tf.fill([2, 1, 1, 1], value);
  const inputs = [
    tf.tensor4d(noise, [2, 4, 4, 1]),
    tf.tensor4d(noise.map((value) => Math.sign(value)), [2, 4, 4, 1]),
    tf.tensor1d([5, 5]),
    one(0.8),
    one(0.6),
  ];
  const read = async (engine: Engine) => {
    try {
      const outputs = await engine.compile(computation, new Map())(...inputs);
      return outputs.map((output) => Array.from(output.dataSync()));
    } finally {
      await engine.dispose();
    }
  };
  const [expected, actual] = [await read(cpu()), await read(await openEngine("onnx"))];
  for (const [part, values] of expected.entries()) {
    values.forEach((value, i) => assertAlmostEquals(actual[part]![i]!, value, 1e-5));
  }
  assert(expected[1]!.every((value) => Math.abs(value) > 1e-3));
});

Deno.test("dequantized() spreads a pixel over its width, whose bits are eight for even pixels", () => {
  const spread = dequantized(new Float32Array([-1, 0, 1]), new Float32Array([0, 0.5, 0.999999]));
  assertAlmostEquals(spread[0]!, -1 - 1 / 255, 1e-6);
  assertEquals(spread[1], 0);
  assertAlmostEquals(spread[2]!, 1 + 1 / 255, 1e-6);
  // 256 values alike: a density of 1 / (256 · 2 / 255).
  assertAlmostEquals(bitsOf(-3 * Math.log(512 / 255), 3), 8, 1e-12);
});
