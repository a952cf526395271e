import { assert } from "@std/assert";
import * as tf from "tfjs";
import { addNoise } from "../../../training/objective.ts";
import { boundTerm } from "../../../training/objectives/bound.ts";
import { lossesOf, type Objective } from "../../../training/objectives/losses.ts";
import { posteriorMean, reverseStep } from "../../../training/objectives/reverse.ts";
import { onCpu } from "../_tiny.ts";
import { answerOf, batchOf, difference, fixture, images, MEANS, VARIANCES } from "./_fixture.ts";

const TOLERANCE = 1e-5;
const cases: { combos: Record<string, string[]> } = JSON.parse(
  await Deno.readTextFile(new URL("../../fixtures/losses/cases.json", import.meta.url)),
);

function assertMet(actual: tf.Tensor, name: string, tolerance = TOLERANCE): void {
  const off = difference(actual, fixture(name));
  assert(off <= tolerance, `${name} differs by ${off}`);
}

Deno.test("q(x_t | x_0) and the posterior's mean and variance are those of OpenAI's code", () =>
  onCpu(() => {
    tf.tidy(() => {
      const batch = batchOf();
      const { x0, alpha, sigma, variance, low } = batch;
      const whole = (tensor: tf.Tensor4D) => tf.broadcastTo(tensor, x0.shape);
      assertMet(addNoise(batch), "x_t");
      assertMet(tf.mul(x0, alpha), "q_mean_variance.mean");
      assertMet(whole(tf.mul(sigma, sigma)), "q_mean_variance.variance");
      assertMet(whole(tf.mul(tf.log(sigma), 2)), "q_mean_variance.log_variance");
      assertMet(posteriorMean(x0, images(fixture("x_t")), batch), "q_posterior.mean");
      assertMet(whole(variance), "q_posterior.variance");
      assertMet(whole(low), "q_posterior.log_variance_clipped");
    });
  }));

for (const [mean, type] of Object.entries(MEANS)) {
  for (const [spread, variance] of Object.entries(VARIANCES)) {
    Deno.test(`reverseStep() reads an answer of ${mean} and ${spread} as OpenAI's code does`, () =>
      onCpu(() => {
        for (const clip of [false, true]) {
          tf.tidy(() => {
            const x = images(fixture("x_t"));
            const made = reverseStep(answerOf(mean, spread), x, batchOf(), {
              mean: type,
              variance,
              clip,
            });
            const name = `p_mean_variance.${mean}.${spread}.${clip ? "clip" : "noclip"}`;
            assertMet(made.mean, `${name}.mean`);
            assertMet(made.variance, `${name}.variance`);
            assertMet(made.logVariance, `${name}.log_variance`);
            // Weighed by some hundreds, mean and x nearly cancel in float32.
            const tolerance = type === "previous" ? 10 * TOLERANCE : TOLERANCE;
            assertMet(made.x0, `${name}.pred_xstart`, tolerance);
          });
        }
      }));
  }
}

Deno.test("boundTerm() gives the bits of OpenAI's code, the decoder's at t = 0", () =>
  onCpu(() => {
    for (const [spread, variance] of Object.entries(VARIANCES)) {
      for (const clip of [false, true]) {
        tf.tidy(() => {
          const x = images(fixture("x_t"));
          const step = batchOf();
          const reading = { mean: "epsilon", variance, clip } as const;
          const reverse = reverseStep(answerOf("EPSILON", spread), x, step, reading);
          const bits = boundTerm(images(fixture("x_start")), step, reverse);
          assertMet(bits, `vb_terms_bpd.EPSILON.${spread}.${clip ? "clip" : "noclip"}`);
        });
      }
    }
  }));

/** OpenAI's losses as ours: the bound's weight makes its plain MSE out of the hybrid. */
const LOSSES: Readonly<Record<string, [learned: Objective, fixed: Objective]>> = {
  MSE: ["hybrid", "simple"],
  RESCALED_MSE: ["hybrid", "simple"],
  KL: ["vlb", "vlb"],
  RESCALED_KL: ["rescaled-vlb", "rescaled-vlb"],
};

for (const [name, parts] of Object.entries(cases.combos)) {
  Deno.test(`lossesOf() gives the losses of OpenAI's ${name}`, () =>
    onCpu(() => {
      tf.tidy(() => {
        const [loss = "", mean = "", spread = ""] = name.split(".");
        const [learned, fixed] = LOSSES[loss]!;
        const made = lossesOf(() => answerOf(mean, spread), batchOf(), {
          objective: spread.startsWith("LEARNED") ? learned : fixed,
          mean: MEANS[mean]!,
          variance: VARIANCES[spread]!,
          vlbWeight: 0.001, // both weigh the bound by 1 at a thousand timesteps
          timesteps: 1000,
        });
        const ours = { loss: made.loss, mse: made.mse, vb: made.vlb };
        for (const part of parts as (keyof typeof ours)[]) {
          assertMet(ours[part]!, `training_losses.${name}.${part}`);
        }
      });
    }));
}
