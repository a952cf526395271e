import { assert, assertEquals } from "@std/assert";
import pag from "../../guidance/pag.ts";
import { fromX0 } from "../../plugin.ts";
import ddim from "../../samplers/ddim.ts";
import { testGuidance } from "../laws.ts";
import { choose, cleanOf, closedForm, distance, drawn, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";
import expected from "../fixtures/guidance/pag.json" with { type: "json" };
import { AT, guideOf, row, valuesOf } from "./_guide.ts";
import { answers, ENGINES } from "./_network.ts";

testGuidance(pag, { settings: [{ scale: 5 }, { layers: "all" }], neutral: { scale: 0 } });

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.3], [0.4]],
};
const perturbed = { ...mixture, deviations: [[0.6], [0.9]] };

Deno.test("pag() leads away from the perturbed prediction as equation 15 of its paper", async () => {
  const labels = Int32Array.of(0, 0, 1);
  const guidances = [guide(pag, { scale: 2.5 })];
  const { predict, calls, blind } = closedForm({
    mixture,
    perturbed,
    conditions: { network: labels },
    guidances,
  });
  const [at] = linearPath(2);
  if (at === undefined) throw new RangeError("The path is empty");
  const noise = noiseOf(3, [1, 1, 2]);
  const noisy = { x: noiseOf(3, [1, 1, 2]).draw(), size: 2, at, labels };
  const path = [at, { t: 0, alpha: 1, sigma: 0 }]; // one step, so that the images are x0
  const ours = await drawn({ sampler: choose(ddim), path, predict, noise });
  const [whole, off] = [cleanOf(mixture, noisy), cleanOf(perturbed, noisy)];
  const wanted = whole.map((value, i) => value + 2.5 * (value - (off[i] ?? NaN)));
  assert(distance(ours, wanted) < 1e-5);
  assertEquals([calls.length, blind.length], [1, 1]);
});

Deno.test("pag() moves what other guidances made by the unguided prediction less the blind one", async () => {
  const x = row(1, -2);
  const made = await pag.guide(
    fromX0(x, AT, row(0.5, -1)),
    guideOf({
      x,
      unguided: fromX0(x, AT, row(0.25, 0.5)),
      perturbed: () => Promise.resolve(fromX0(x, AT, row(0, 1))),
      options: { scale: 3, layers: "mid_block" },
    }),
  );
  assert(distance(valuesOf(made.x0), [0.5 + 3 * 0.25, -1 + 3 * -0.5]) < 1e-6);
});

for (const engine of ENGINES) {
  Deno.test(`pag() is that of diffusers' pipelines on ${engine}`, async () => {
    const cases = { mid_block: expected.mid, "up_blocks+down_blocks": expected["up+down"] };
    for (const [layers, wanted] of Object.entries(cases)) {
      const [eps = []] = await answers(engine, expected.x, [guide(pag, { scale: 3, layers })]);
      const apart = distance(eps, wanted);
      assert(apart < 2e-5, `${layers} is off by ${apart}`);
    }
  });
}
