import { assert, assertThrows } from "@std/assert";
import autoguidance from "../../guidance/autoguidance.ts";
import ddim from "../../samplers/ddim.ts";
import { testGuidance } from "../laws.ts";
import { choose, cleanOf, closedForm, distance, drawn, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";

testGuidance(autoguidance, {
  given: { model: "worse" },
  settings: [{ scale: 0 }, { scale: 4 }],
  neutral: { scale: 1 },
});

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.3], [0.4]],
};
const worse = { ...mixture, deviations: [[0.5], [0.7]] };
const labels = Int32Array.of(0, 0, 1);
const conditions = { network: labels };

Deno.test("autoguidance() extrapolates from the worse model as equation 3 of its paper", async () => {
  const guidances = [guide(autoguidance, { model: "worse", scale: 2.5 })];
  const { predict, calls, others } = closedForm({ mixture, conditions, guidances, other: worse });
  const [at] = linearPath(2);
  if (at === undefined) throw new RangeError("The path is empty");
  const noise = noiseOf(3, [1, 1, 2]);
  const noisy = { x: noiseOf(3, [1, 1, 2]).draw(), size: 2, at, labels };
  const path = [at, { t: 0, alpha: 1, sigma: 0 }]; // one step, so that the images are x0
  const ours = await drawn({ sampler: choose(ddim), path, predict, noise });
  const [good, bad] = [cleanOf(mixture, noisy), cleanOf(worse, noisy)];
  const expected = good.map((value, i) => 2.5 * value - 1.5 * (bad[i] ?? NaN));
  assert(distance(ours, expected) < 1e-5);
  assert(calls.length === 1 && others.length === 1);
});

Deno.test("autoguidance() needs a model", () => {
  assertThrows(
    () => closedForm({ mixture, conditions, guidances: [guide(autoguidance)] }),
    TypeError,
    "name a model",
  );
});
