import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import {
  addNoise,
  type NoisyBatch,
  PREDICTION_TYPES,
  predictionType,
  target,
} from "../../training/objective.ts";
import { onCpu } from "./_tiny.ts";

/** Three images at little, middling and much noise. */
function someBatch(): NoisyBatch {
  const alphas = [0.99, 0.6, 0.01];
  return {
    x0: tf.tensor4d([0.5, -1, 0.25, 1, -0.5, 0], [3, 1, 2, 1]),
    eps: tf.tensor4d([1, 0.1, -2, 0.3, 0.7, -0.2], [3, 1, 2, 1]),
    t: tf.tensor1d([1, 500, 999]),
    alpha: tf.tensor4d(alphas, [3, 1, 1, 1]),
    sigma: tf.tensor4d(alphas.map((alpha) => Math.sqrt(1 - alpha ** 2)), [3, 1, 1, 1]),
    weight: tf.tensor1d([2, 1, 0]),
  };
}

function assertNear(actual: tf.Tensor, expected: tf.Tensor): void {
  const [ours, theirs] = [actual.dataSync(), expected.dataSync()];
  ours.forEach((value, index) => assertAlmostEquals(value, theirs[index]!, 1e-6));
}

Deno.test("addNoise() weighs image and noise by the level of each image", () =>
  onCpu(() => {
    tf.tidy(() => {
      const x = addNoise(someBatch()).dataSync();
      assertAlmostEquals(x[0]!, 0.99 * 0.5 + Math.sqrt(1 - 0.99 ** 2) * 1, 1e-6);
      assertAlmostEquals(x[3]!, 0.6 * 1 + 0.8 * 0.3, 1e-6);
      assertAlmostEquals(x[5]!, 0.01 * 0 + Math.sqrt(1 - 0.01 ** 2) * -0.2, 1e-6);
    });
  }));

Deno.test("target() is what image and noise can be found from again", () =>
  onCpu(() => {
    tf.tidy(() => {
      const batch = someBatch();
      const { x0, eps, alpha, sigma } = batch;
      const x = addNoise(batch);
      assertEquals(target("epsilon", batch), eps);
      assertEquals(target("sample", batch), x0);
      const v = target("v_prediction", batch);
      assertNear(tf.sub(tf.mul(x, alpha), tf.mul(v, sigma)), x0);
      assertNear(tf.add(tf.mul(x, sigma), tf.mul(v, alpha)), eps);
    });
  }));

Deno.test("predictionType() knows what has a loss, and says so of the rest", () => {
  assertEquals(PREDICTION_TYPES.map(predictionType), [...PREDICTION_TYPES]);
  assertThrows(() => predictionType("flow_prediction"), TypeError, "predicts flow_prediction");
});
