import { assert, assertEquals, assertThrows } from "@std/assert";
import cfg from "../../guidance/cfg.ts";
import loss from "../../guidance/loss.ts";
import { openModel } from "../../pipeline/model.ts";
import { conditionsOf, findClass, type Settings, splitClasses } from "../../pipeline/settings.ts";
import * as tf from "tfjs";
import { cleanOf, closedForm, distance, guide, NO_CLASS } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";

const model = openModel("digits");
const settings: Settings = {
  model: "digits",
  seed: 1n,
  count: 3,
  classes: [],
  unconditional: false,
  steps: 2,
  sampler: "ddim",
  guidance: [],
  rng: "philox",
};

Deno.test("classes with weights are one that is composed, without them several in turn", () => {
  assertEquals(splitClasses("3, 8"), ["3", "8"]);
  assertEquals(splitClasses("3:0.7, 8:0.3"), ["3:0.7+8:0.3"]);
  assertEquals(findClass(model, "3:0.7+8:0.3"), "3:0.7+8:0.3");
  assertThrows(() => findClass(model, "3:0.7+x:0.3"), RangeError, 'Cannot find class "x"');
  const unfree = { ...model, nullClass: undefined };
  assertThrows(() => findClass(unfree, "3:0.7+8:0.7"), RangeError, "weights must sum to 1");
});

Deno.test("conditionsOf() gives what is left of the weights to the null class", () => {
  const of = (classes: string[]) => conditionsOf(model, { ...settings, classes }, [0, 1, 2]);
  const { blend = [], classifier } = of(["3:0.5+8:0.25", "5"]);
  assertEquals(blend.map(({ labels }) => [...labels]), [[3, 5, 3], [8, 5, 8], [10, 5, 10]]);
  assertEquals(blend.map(({ weights }) => [...weights]), [[0.5, 1, 0.5], [0.25, 0, 0.25], [
    0.25,
    0,
    0.25,
  ]]);
  assertEquals(classifier, undefined);
  assertEquals(of(["3", "8"]).blend, undefined);
});

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.3], [0.4]],
};

Deno.test("guidedPredict() composes scores of several classes (Liu et al., equation 11)", async () => {
  const at = linearPath(4)[1];
  if (at === undefined) throw new RangeError("The path is too short");
  const x = noiseOf(2, [1, 1, 2]).draw();
  const images = tf.tensor4d(x, [2, 1, 1, 2]);
  const shares = [0.7, 0.5, -0.2]; // of class 0, class 1 and nobody
  const lists = [[0, 0], [1, 1], [NO_CLASS, NO_CLASS]];
  const blend = lists.map((labels, i) => ({
    labels: Int32Array.from(labels),
    weights: Float32Array.of(shares[i] ?? NaN, shares[i] ?? NaN),
  }));
  const conditions = { network: Int32Array.of(0, 0), blend };
  const parts = lists.map((labels) => cleanOf(mixture, { x, size: 2, at, labels }));
  const composed = Array.from(
    x,
    (_, i) => parts.reduce((sum, part, k) => sum + (shares[k] ?? NaN) * (part[i] ?? NaN), 0),
  );
  const { predict, calls } = closedForm({ mixture, conditions });
  assert(distance((await predict(images, at, 0)).x0.dataSync(), composed) < 1e-5);
  assertEquals(calls.map(({ batch }) => batch), [6]);
  const strong = closedForm({ mixture, conditions, guidances: [guide(cfg, { scale: 2 })] });
  const free = parts[2] ?? [];
  const expected = composed.map((value, i) => 2 * value - (free[i] ?? NaN));
  assert(distance((await strong.predict(images, at, 0)).x0.dataSync(), expected) < 1e-5);
  assertEquals(strong.calls.map(({ batch }) => batch), [6]); // nobody is asked once
  const pulled = closedForm({ mixture, conditions, guidances: [guide(loss)] });
  await pulled.predict(images, at, 0);
  assertEquals(pulled.pullbacks.length, 3);
});
