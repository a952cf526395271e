import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { guidances } from "../../guidance/mod.ts";
import type { Guidance, Images, Sampler } from "../../plugin.ts";
import { type Builtins, checkPlugin, loadPlugin } from "../../plugins/load.ts";
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

/** Options of samplers with which they make few calls. */
const SHORT: Readonly<Record<string, Record<string, number>>> = {
  dpm_adaptive: { rtol: 10, atol: 10 },
};

const loadAll = async (): Promise<Guidance[]> =>
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
  const all = await loadAll();
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

/** Needs, and the calls of networks that meet them. */
const NETWORKS = [
  ["classifier", "gradients"],
  ["loss", "pullbacks"],
  ["model", "others"],
  ["perturbed", "blind"],
  ["attention", "looks"],
] as const;

/** A sampler whose predictions are counted, and checked to be the halves of x. */
function watched(
  plugin: Sampler,
): { readonly sampler: Sampler; readonly predictions: () => number } {
  let made = 0;
  return {
    predictions: () => made,
    sampler: {
      ...plugin,
      step: (input, history) =>
        plugin.step({
          ...input,
          async predict(x, at) {
            made++;
            const prediction = await input.predict(x, at);
            const { x0, eps } = prediction;
            const sum = tf.add(tf.mul(x0, at.alpha), tf.mul(eps, at.sigma)).dataSync();
            const size = Math.max(1, ...tf.abs(x0).dataSync(), ...tf.abs(x).dataSync());
            const apart = distance(sum, x.dataSync());
            assert(apart < 1e-5 * size, `x is off by ${apart} at t = ${at.t}`);
            return prediction;
          },
        }, history),
    },
  };
}

for (const [name, load] of Object.entries(samplers)) {
  Deno.test(`any two guidances run on ${name}, keep the halves of x, leak nothing and ask no more than each needs`, async () => {
    const plugin = checkPlugin("sampler", name, (await load()).default);
    const all = await loadAll();
    const path = linearPath(2);
    for (const first of all) {
      for (const second of all) {
        const pair = [first, second];
        const title = `${first.name} then ${second.name}`;
        const { sampler, predictions } = watched(plugin);
        const takesShift = plugin.takesShift === true;
        const model = closedForm({ mixture, conditions, guidances: pair.map(chosen), takesShift });
        const before = tf.memory().numTensors;
        const noise = noiseOf(2, shape);
        const settings = SHORT[name] ?? {};
        const x = await drawn({
          sampler: choose(sampler, settings),
          path,
          predict: model.predict,
          noise,
        });
        assertEquals(tf.memory().numTensors, before, title);
        assert(x.every(Number.isFinite), title);
        assert(predictions() > 0, title);
        const most = (list: string, each: number, { length }: readonly unknown[]) =>
          assert(length <= each * predictions(), `${title}: ${length} ${list}`);
        most("calls", 1 + count(pair, "again"), model.calls);
        for (const [need, list] of NETWORKS) most(list, count(pair, need), model[list]);
      }
    }
  });
}

Deno.test("guidance/mod.ts lists every guidance of the folder", () => {
  const files = [...Deno.readDirSync(new URL("../../guidance/", import.meta.url))];
  const names = files.filter(({ isFile }) => isFile).map(({ name }) => name.replace(/\.ts$/, ""))
    .filter((name) => name !== "mod");
  assertEquals(Object.keys(guidances).sort(), names.filter((name) => !name.startsWith("_")).sort());
});
