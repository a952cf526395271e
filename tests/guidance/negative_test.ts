import { assert, assertThrows } from "@std/assert";
import negative from "../../guidance/negative.ts";
import ddim from "../../samplers/ddim.ts";
import { testGuidance } from "../laws.ts";
import { choose, cleanOf, closedForm, distance, drawn, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";

testGuidance(negative, { given: { class: "1" }, settings: [{ scale: 3 }], neutral: { scale: 0 } });

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.3], [0.4]],
};
const labels = Int32Array.of(0, 0, 1);

Deno.test("negative() composes scores as equation 13 of its paper", async () => {
  const [at, to] = linearPath(2);
  if (at === undefined || to === undefined) throw new RangeError("The path is empty");
  const { predict, calls } = closedForm({
    mixture,
    conditions: { network: labels },
    guidances: [guide(negative, { class: "1", scale: 2 })],
  });
  const path = [at, { t: 0, alpha: 1, sigma: 0 }]; // one step, so that the images are x0
  const noise = noiseOf(3, [1, 1, 2]);
  const x = noiseOf(3, [1, 1, 2]).draw();
  const ours = await drawn({ sampler: choose(ddim), path, predict, noise });
  const noisy = { x, size: 2, at };
  const [own, free, other] = [labels, undefined, [1, 1, 1]].map((labels) =>
    cleanOf(mixture, { ...noisy, labels })
  );
  const expected = own?.map((value, i) => value - 2 * ((other?.[i] ?? NaN) - (free?.[i] ?? NaN)));
  assert(distance(ours, expected ?? []) < 1e-5);
  // One call: nobody, class 1, and the labels.
  assert(calls.length === 1 && calls[0]?.batch === 9);
});

Deno.test("negative() needs a class that there is", () => {
  const refuse = (name: string, reason: string, Kind: typeof TypeError | typeof RangeError) =>
    assertThrows(
      () =>
        closedForm({
          mixture,
          conditions: { network: labels },
          guidances: [guide(negative, { class: name })],
        }),
      Kind,
      reason,
    );
  refuse("", "name a class", TypeError);
  refuse("9", 'Cannot find class "9"', RangeError);
});
