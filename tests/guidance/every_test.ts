import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { guidances } from "../../guidance/mod.ts";
import type { Guidance, Images } from "../../plugin.ts";
import { type Builtins, loadPlugin } from "../../plugins/load.ts";
import { samplers } from "../../samplers/mod.ts";
import { choose, closedForm, distance, drawn, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3, 0.2, -0.6], [-0.4, 0.5, -0.8, 0.1]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const labels = Int32Array.of(0, 1);
const conditions = { network: labels, classifier: labels };
const shape = [2, 2, 1] as const;
const GIVEN: Readonly<Record<string, Record<string, string>>> = {
  negative: { class: "0" },
  autoguidance: { model: "worse" },
};

const load = async (): Promise<Guidance[]> =>
  await Promise.all(
    Object.keys(guidances).map((name) => loadPlugin("guidance", name, guidances as Builtins)),
  );
const chosen = (plugin: Guidance) => guide(plugin, GIVEN[plugin.name]);

/** What the network is asked beside the labelled answer: how many other halves, at most. */
const halvesOf = ({ needs = [] }: Guidance): number =>
  needs.filter((need) => need === "unconditional" || need === "class").length;
const count = (pair: readonly Guidance[], need: string): number =>
  pair.filter(({ needs }) => needs?.some((it) => it === need)).length;

Deno.test("any two guidances keep the halves of x, and ask for no more than each needs", async () => {
  const [at, to] = linearPath(4).slice(1);
  if (at === undefined || to === undefined) throw new RangeError("The path is too short");
  const all = await load();
  for (const first of all) {
    for (const second of all) {
      const pair = [first, second];
      const model = closedForm({
        mixture,
        conditions,
        guidances: pair.map(chosen),
        takesShift: true,
      });
      const before = tf.memory().numTensors;
      tf.engine().startScope();
      const x: Images = tf.tensor4d(noiseOf(2, shape).draw(), [2, ...shape]);
      const { x0, eps } = await model.predict(x, at, 0.25, to);
      const sum = tf.add(tf.mul(x0, at.alpha), tf.mul(eps, at.sigma)).dataSync();
      const size = Math.max(1, ...tf.abs(x0).dataSync());
      const apart = distance(sum, x.dataSync());
      tf.engine().endScope();
      const title = `${first.name} then ${second.name}`;
      assert(apart < 1e-5 * size, `${title}: x is off by ${apart}`);
      assertEquals(tf.memory().numTensors, before, title);
      assertEquals(model.calls.length, 1 + count(pair, "again"), title);
      const batch = model.calls[0]?.batch ?? NaN;
      assert(batch <= 2 * (1 + halvesOf(first) + halvesOf(second)), `${title}: ${batch}`);
      assertEquals(model.gradients.length, count(pair, "classifier"), title);
      assertEquals(model.pullbacks.length, count(pair, "loss"), title);
      assertEquals(model.others.length, count(pair, "model"), title);
      assertEquals(model.blind.length, count(pair, "perturbed"), title);
      assertEquals(model.looks.length, count(pair, "attention"), title);
    }
  }
});

Deno.test("any two guidances run on every sampler and leak nothing", async () => {
  const all = await load();
  const path = linearPath(3);
  const names = Object.keys(samplers);
  for (const [i, first] of all.entries()) {
    for (const [j, second] of all.entries()) {
      // Every sampler meets every guidance in both places; each pair meets some of the samplers.
      const own = names.filter((_, k) => (i + j) % all.length === k % all.length);
      for (const name of own) {
        const plugin = await loadPlugin("sampler", name, samplers as Builtins);
        const takesShift = plugin.takesShift === true;
        const guided = [first, second].map(chosen);
        const { predict } = closedForm({ mixture, conditions, guidances: guided, takesShift });
        const noise = noiseOf(2, shape);
        const before = tf.memory().numTensors;
        const x = await drawn({ sampler: choose(plugin), path, predict, noise });
        assertEquals(tf.memory().numTensors, before, `${first.name}, ${second.name}, ${name}`);
        assert(x.every(Number.isFinite), `${first.name}, ${second.name}, ${name}`);
      }
    }
  }
});

Deno.test("guidance/mod.ts lists every guidance of the folder", () => {
  const files = [...Deno.readDirSync(new URL("../../guidance/", import.meta.url))];
  const names = files.map(({ name }) => name.replace(/\.ts$/, "")).filter((name) => name !== "mod");
  assertEquals(Object.keys(guidances).sort(), names.filter((name) => !name.startsWith("_")).sort());
});
