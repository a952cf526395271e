import { assert } from "@std/assert";
import cfg from "../../guidance/cfg.ts";
import cfgpp from "../../guidance/cfgpp.ts";
import ddim from "../../samplers/ddim.ts";
import { testGuidance } from "../laws.ts";
import { choose, cleanOf, closedForm, distance, drawn, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";

testGuidance(cfgpp, { settings: [{ scale: 0 }, { scale: 1 }] });

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const labels = Int32Array.of(0, 1, 1);
const shape = [1, 1, 2] as const;

Deno.test("cfgpp() with ddim is Algorithm 2 of its paper", async () => {
  const path = linearPath(10);
  for (const scale of [0, 0.3, 1]) {
    const { predict } = closedForm({
      mixture,
      conditions: { network: labels },
      guidances: [guide(cfgpp, { scale })],
    });
    const ours = await drawn({ sampler: choose(ddim), path, predict, noise: noiseOf(3, shape) });
    let x = Float64Array.from(noiseOf(3, shape).draw());
    for (const [i, at] of path.slice(0, -1).entries()) {
      const to = path[i + 1] ?? at;
      const labelled = cleanOf(mixture, { x, size: 2, at, labels });
      const free = cleanOf(mixture, { x, size: 2, at });
      x = x.map((value, j) => {
        const noise = (value - at.alpha * (free[j] ?? NaN)) / at.sigma; // of the unlabelled half
        const clean = (1 - scale) * (free[j] ?? NaN) + scale * (labelled[j] ?? NaN);
        return to.alpha * clean + to.sigma * noise;
      });
    }
    assert(distance(ours, x) < 1e-4, `off by ${distance(ours, x)} at ${scale}`);
  }
});

Deno.test("cfgpp() is cfg() of the same scale in a step that ends clean", async () => {
  const path = linearPath(1);
  const draw = (guided: ReturnType<typeof guide>) => {
    const form = { mixture, conditions: { network: labels }, guidances: [guided] };
    const { predict } = closedForm(form);
    return drawn({ sampler: choose(ddim), path, predict, noise: noiseOf(3, shape) });
  };
  const apart = distance(
    await draw(guide(cfgpp, { scale: 0.4 })),
    await draw(guide(cfg, { scale: 0.4 })),
  );
  assert(apart < 1e-6);
});
