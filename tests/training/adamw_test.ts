import { assertAlmostEquals, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { adamw, averageDecay, learningRate, type OptimizerState } from "../../training/adamw.ts";
import { freshState } from "../../training/checkpoint.ts";

function assertNear(actual: tf.Tensor, expected: readonly number[]): void {
  const values = actual.dataSync();
  assertEquals(values.length, expected.length);
  expected.forEach((value, index) =>
    assertAlmostEquals(values[index]!, value, 3e-7 + 3e-7 * Math.abs(value))
  );
}

// torch 2.8: AdamW (lr as below, betas 0.9 and 0.99, eps 1e-8, weight_decay 0.05) on [1, -2, 0.5]
// after clip_grad_norm_ to 1; the average follows with the decays below.
const REFERENCE = [
  {
    gradient: [0.3, -0.4, 0],
    rate: 0.05,
    decay: 0.1,
    weights: [0.94749999, -1.945000052, 0.498750001],
    mean: [0.030000001, -0.040000003, 0],
    square: [0.0009, 0.0016, 0],
    average: [0.952749968, -1.950500011, 0.498874992],
    norm: 0.5,
  },
  {
    gradient: [3, 4, -12],
    rate: 0.1,
    decay: 2 / 11,
    weights: [0.844219685, -1.927555084, 0.570502222],
    mean: [0.050076924, -0.005230774, -0.092307687],
    square: [0.001423544, 0.002530745, 0.008520708],
    average: [0.863952458, -1.931726933, 0.557479084],
    norm: 13,
  },
  {
    gradient: [-0.01, 0.02, 0.5],
    rate: 0.08,
    decay: 3 / 12,
    weights: [0.7811414, -1.917094946, 0.58431226],
    mean: [0.044069231, -0.002707697, -0.033076916],
    square: [0.001410309, 0.002509438, 0.010935502],
    average: [0.80184418, -1.920752883, 0.577603996],
    norm: 0.5004997,
  },
  {
    gradient: [0, 0, 0],
    rate: 0.02,
    decay: 0.3,
    weights: [0.768106461, -1.914613366, 0.587030888],
    mean: [0.039662309, -0.002436927, -0.029769225],
    square: [0.001396206, 0.002484344, 0.010826147],
    average: [0.778227746, -1.916455269, 0.584202826],
    norm: 0,
  },
];

Deno.test("adamw() makes the steps of torch.optim.AdamW after clip_grad_norm_", async () => {
  await tf.setBackend("cpu");
  tf.tidy(() => {
    let state: OptimizerState = freshState(new Float32Array([1, -2, 0.5]));
    REFERENCE.forEach(({ gradient, rate, decay, norm, ...expected }, step) => {
      const made = adamw(state, tf.tensor1d(gradient), {
        learningRate: rate,
        beta1: 0.9,
        beta2: 0.99,
        weightDecay: 0.05,
        clip: 1,
        decay,
        step,
      });
      state = made.state;
      assertNear(made.norm, [norm]);
      for (const part of ["weights", "mean", "square", "average"] as const) {
        assertNear(state[part], expected[part]);
      }
    });
  });
});

Deno.test("adamw() moves each weight by the learning rate at first, whatever the gradient", async () => {
  await tf.setBackend("cpu");
  tf.tidy(() => {
    const rates = {
      learningRate: 0.01,
      beta1: 0.9,
      beta2: 0.99,
      weightDecay: 0,
      clip: Infinity,
      decay: 0,
      step: 0,
    };
    const gradient = tf.tensor1d([1e-3, -5, 1e3]);
    const { state } = adamw(freshState(new Float32Array(3)), gradient, rates);
    assertNear(state.weights, [-0.01, 0.01, -0.01]); // bias correction undoes the betas
    assertNear(state.average, [-0.01, 0.01, -0.01]);
  });
});

Deno.test("averageDecay() lets a young average forget its start", () => {
  assertEquals(averageDecay(0.999, 0), 1 / 10);
  assertEquals(averageDecay(0.999, 1), 2 / 11);
  assertEquals(averageDecay(0.999, 90), 91 / 100);
  assertEquals(averageDecay(0.999, 1e6), 0.999);
  assertEquals(averageDecay(0, 5), 0);
});

Deno.test("learningRate() warms up, then falls as it is told", () => {
  const rates = (decay: "constant" | "linear" | "cosine", warmup = 4) =>
    Array.from(
      { length: 10 },
      (_, step) => learningRate(step, { rate: 8, warmup, steps: 12, decay }),
    );
  const rising = [2, 4, 6, 8];
  assertEquals(rates("constant"), [...rising, 8, 8, 8, 8, 8, 8]);
  assertEquals(rates("linear"), [...rising, 8, 7, 6, 5, 4, 3]);
  rates("cosine").slice(4).forEach((rate, index) =>
    assertAlmostEquals(rate, 4 + 4 * Math.cos(Math.PI * index / 8), 1e-12)
  );
  assertEquals(rates("constant", 0)[0], 8);
  for (const decay of ["linear", "cosine"] as const) {
    assertEquals(learningRate(12, { rate: 8, warmup: 4, steps: 12, decay }), 0);
    assertEquals(learningRate(99, { rate: 8, warmup: 4, steps: 12, decay }), 0);
  }
  // A warm-up as long as the run never divides by zero.
  assertEquals(learningRate(11, { rate: 8, warmup: 12, steps: 12, decay: "cosine" }), 8);
});
