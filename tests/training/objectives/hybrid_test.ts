import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { alphasCumprodOf } from "../../../schedules/mod.ts";
import type { NoisyBatch } from "../../../training/objective.ts";
import { priorTerm } from "../../../training/objectives/bound.ts";
import { chainOf, stepTensors } from "../../../training/objectives/chain.ts";
import { lossesOf, type LossOptions } from "../../../training/objectives/losses.ts";
import { reverseStep } from "../../../training/objectives/reverse.ts";
import { onCpu } from "../_tiny.ts";

const OPTIONS: LossOptions = {
  objective: "hybrid",
  mean: "v_prediction",
  variance: "learned_range",
  vlbWeight: 0.001,
  timesteps: 100,
};

const chain = chainOf(
  alphasCumprodOf({ beta_schedule: "squaredcos_cap_v2", num_train_timesteps: 100 }),
);

function someBatch(): NoisyBatch {
  return {
    x0: tf.tensor4d([0.5, -1, 0.25, 1, -0.5, 0], [3, 1, 2, 1]),
    eps: tf.tensor4d([1, 0.1, -2, 0.3, 0.7, -0.2], [3, 1, 2, 1]),
    t: tf.tensor1d([0, 40, 99]),
    weight: tf.tensor1d([2, 1, 0.5]),
    ...stepTensors(chain, [0, 40, 99]),
  };
}

/** The gradient of the mean loss by an answer, its mean and its variance channel apart. */
function slopes(options: LossOptions): [mean: number[], spread: number[]] {
  const answer = tf.tensor4d(Array.from({ length: 12 }, (_, i) => Math.sin(3 * i)), [3, 1, 2, 2]);
  const slope = tf.grad((answer) =>
    tf.mean(lossesOf(() => answer as tf.Tensor4D, someBatch(), options).loss)
  )(answer);
  const [mean, spread] = tf.split(slope, 2, 3);
  return [[...mean!.dataSync()], [...spread!.dataSync()]];
}

Deno.test("the bound of the hybrid loss teaches the variance, never the mean", () =>
  onCpu(() => {
    tf.tidy(() => {
      const [mean, spread] = slopes(OPTIONS);
      const [without] = slopes({ ...OPTIONS, vlbWeight: 0 });
      assertEquals(mean, without);
      assert(spread.every((slope) => slope !== 0), "the variance learns nothing");
      const [bound, boundSpread] = slopes({ ...OPTIONS, objective: "rescaled-vlb" });
      assert(bound.every((slope, i) => slope !== mean[i]), "the bound alone teaches both");
      // A thousandth of the whole bound, by the variance.
      boundSpread.forEach((slope, i) => assertAlmostEquals(spread[i]!, slope / 1000, 1e-6));
    });
  }));

Deno.test("lossesOf() weighs the squared error by level, and the whole by importance", () =>
  onCpu(() => {
    tf.tidy(() => {
      const batch = someBatch();
      const answer = tf.fill([3, 1, 2, 2], 0.3) as tf.Tensor4D;
      const { loss, mse, vlb } = lossesOf(() => answer, batch, OPTIONS);
      const [errors, bounds] = [mse!.dataSync(), vlb!.dataSync()];
      const expected = [2, 1, 0.5].map((weight, i) => weight * errors[i]! + bounds[i]!);
      loss.dataSync().forEach((value, i) => assertAlmostEquals(value, expected[i]!, 1e-5));
      const importance = tf.tensor1d([0.5, 1, 3]);
      const skewed = lossesOf(() => answer, { ...batch, importance }, OPTIONS).loss.dataSync();
      [0.5, 1, 3].forEach((share, i) => assertAlmostEquals(skewed[i]!, share * expected[i]!, 1e-5));
    });
  }));

Deno.test("a learned variance lies between the posterior's and beta, by logarithms", () =>
  onCpu(() => {
    tf.tidy(() => {
      const x = tf.zeros([1, 1, 1, 1]) as tf.Tensor4D;
      const step = stepTensors(chain, [30]);
      const reading = { mean: "v_prediction", variance: "learned_range", clip: false } as const;
      const at = (place: number) =>
        reverseStep(tf.tensor4d([0, place], [1, 1, 1, 2]), x, step, reading)
          .logVariance.dataSync()[0]!;
      const { low, high } = chain[30]!;
      assertAlmostEquals(at(-1), low, 1e-6);
      assertAlmostEquals(at(1), high, 1e-6);
      assertAlmostEquals(at(0), (low + high) / 2, 1e-6);
    });
  }));

Deno.test("chainOf() takes the variance of the last step but one for the last", () => {
  assertEquals(chain[0]!.variance, 0);
  assertEquals(chain[0]!.low, Math.log(chain[1]!.variance));
  const [only] = chainOf([0.9]);
  assertAlmostEquals(only!.low, Math.log(0.1), 1e-12);
  assertThrows(() => chainOf([]), RangeError, "no levels");
});

Deno.test("chainOf() has the betas of a respaced chain, not those of its timesteps", () => {
  const all = alphasCumprodOf({ beta_schedule: "linear" });
  const kept = [0, 100, 400, 999].map((t) => all[t]!);
  for (const [place, { low, high }] of chainOf(kept).entries()) {
    const beta = 1 - kept[place]! / (kept[place - 1] ?? 1);
    assertAlmostEquals(high, Math.log(beta), 1e-9);
    if (place === 0) continue;
    assertAlmostEquals(low, Math.log(beta * (1 - kept[place - 1]!) / (1 - kept[place]!)), 1e-9);
  }
});

Deno.test("chainOf() is finite where the last level has no signal", () => {
  const steps = chainOf([0.9, 0.5, 0]);
  for (const step of steps) {
    assert(Object.values(step).every(Number.isFinite), JSON.stringify(step));
  }
});

Deno.test("lossesOf() needs the chain for a bound", () =>
  onCpu(() => {
    tf.tidy(() => {
      const { x0, eps, t, alpha, sigma, weight } = someBatch();
      assertThrows(
        () => lossesOf(() => tf.zeros([3, 1, 2, 2]), { x0, eps, t, alpha, sigma, weight }, OPTIONS),
        TypeError,
        "without the steps of the chain",
      );
    });
  }));

Deno.test("priorTerm() is the divergence of two normal distributions, in bits", () =>
  onCpu(() => {
    tf.tidy(() => {
      const bits = priorTerm(tf.tensor4d([0.5, -1, 0, 0], [2, 1, 2, 1]), { alpha: 0.6 });
      const spread = 0.64 - 1 - Math.log(0.64);
      const expected = [(0.36 * 0.625 + spread) / 2, spread / 2].map((nats) => nats / Math.LN2);
      bits.dataSync().forEach((value, i) => assertAlmostEquals(value, expected[i]!, 1e-7));
      // Where next to no signal is left, float32 would round the variance to 1.
      const [tiny] = priorTerm(tf.ones([1, 1, 1, 1]), { alpha: 1e-4 }).dataSync();
      assertAlmostEquals(tiny! / (0.5e-8 / Math.LN2), 1, 1e-5);
    });
  }));
