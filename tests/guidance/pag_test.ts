import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import cfg from "../../guidance/cfg.ts";
import pag from "../../guidance/pag.ts";
import { fromX0 } from "../../plugin.ts";
import { testGuidance } from "../laws.ts";
import {
  blurred,
  cleanOf,
  closedForm,
  distance,
  guide,
  type Mixture,
} from "../pipeline/_closed_form.ts";
import { linearPath, NO_CLASS, noiseOf } from "../pipeline/_closed_form.ts";
import { AT, guideOf, row, valuesOf } from "./_guide.ts";
import expected from "../fixtures/guidance/pag.json" with { type: "json" };
import { answers, ENGINES } from "./_network.ts";

testGuidance(pag, {
  settings: [{ scale: 1 }, { layers: "mid+up" }],
  neutral: { scale: 0 },
});

Deno.test("pag() moves what other guidances made by the labelled prediction less the perturbed", async () => {
  const x = row(1, -2);
  const made = await pag.guide(
    fromX0(x, AT, row(0.5, -1)),
    guideOf({
      x,
      unguided: fromX0(x, AT, row(0.25, 0.5)),
      perturbed: () => Promise.resolve(fromX0(x, AT, row(0, 1))),
      options: { scale: 3, layers: "mid" },
    }),
  );
  assert(distance(valuesOf(made.x0), [0.5 + 3 * 0.25, -1 + 3 * -0.5]) < 1e-6);
});

const mixture = { weights: [0.4, 0.6], means: [[0.6], [-0.5]], deviations: [[0.2], [0.4]] };
const at = linearPath(4)[2] ?? AT;

Deno.test("pag() after cfg() is free + s (labelled - free) + p (labelled - perturbed), in one call", async () => {
  const x = noiseOf(2, [1, 1, 2], 4).draw();
  const network = Int32Array.of(0, 1);
  const guidances = [guide(cfg, { scale: 2 }), guide(pag, { scale: 3 })];
  const model = closedForm({ mixture, conditions: { network }, guidances });
  const { x0 } = await model.predict(tf.tensor4d(x, [2, 1, 1, 2]), at, 0);
  const clean = (form: Mixture, labels?: Int32Array) => cleanOf(form, { x, size: 2, at, labels });
  const [labelled, free] = [clean(mixture, network), clean(mixture)];
  const worse = cleanOf(blurred(mixture), { x, size: 2, at, labels: network });
  const wanted = labelled.map((c, i) => {
    const [f, p] = [free[i] ?? NaN, worse[i] ?? NaN];
    return f + 2 * (c - f) + 3 * (c - p);
  });
  const apart = distance(x0.dataSync(), wanted);
  assert(apart < 1e-5, `off by ${apart}`);
  const labels = [...Array(2).fill(NO_CLASS), ...network, ...network];
  assertEquals(model.calls.map((call) => call.labels), [labels]);
});

Deno.test("pag() of several selections of layers is still one call, each half once", async () => {
  const network = Int32Array.of(0);
  const guidances = ["mid", "up", "mid"].map((layers) => guide(pag, { layers }));
  const model = closedForm({ mixture, conditions: { network }, guidances });
  await model.predict(tf.ones([1, 1, 1, 2]), at, 0);
  assertEquals(model.calls.map(({ batch }) => batch), [3]);
});

Deno.test("pag() of classes that are mixed perturbs them all", async () => {
  const x = noiseOf(1, [1, 1, 2], 4).draw();
  const blend = [0, 1].map((label) => ({
    labels: Int32Array.of(label),
    weights: Float32Array.of(label === 0 ? 0.7 : 0.3),
  }));
  const conditions = { network: Int32Array.of(0), blend };
  const model = closedForm({ mixture, conditions, guidances: [guide(pag, { scale: 1 })] });
  const { x0 } = await model.predict(tf.tensor4d(x, [1, 1, 1, 2]), at, 0);
  const mixed = (form: Mixture) => {
    const [first = [], second = []] = [0, 1].map((label) =>
      cleanOf(form, { x, size: 2, at, labels: [label] })
    );
    return Array.from(first, (value, i) => 0.7 * value + 0.3 * (second[i] ?? NaN));
  };
  const [own, worse] = [mixed(mixture), mixed(blurred(mixture))];
  const wanted = own.map((value, i) => 2 * value - (worse[i] ?? NaN));
  assert(distance(x0.dataSync(), wanted) < 1e-5);
});

Deno.test("pag() refuses layers that the network has not, and says which it has", () => {
  const refused = (layers: string) =>
    assertThrows(
      () => closedForm({ mixture, guidances: [guide(pag, { layers })] }),
      RangeError,
      `layers=${layers} must name self-attention by down, mid, up or its layers, joined by +; ` +
        "the network has mid_block.attentions.0, up_blocks.0.attentions.0",
    );
  for (const layers of ["down", "mid+middle", "up_blocks.0.attention", ""]) refused(layers);
  closedForm({ mixture, guidances: [guide(pag, { layers: "mid+up_blocks.0.attentions.0" })] });
});

for (const engine of ENGINES) {
  Deno.test(`pag() is that of diffusers' pipelines on ${engine}`, async () => {
    for (
      const [layers, wanted] of [["mid", expected.mid], ["up+down", expected["up+down"]]] as const
    ) {
      const [eps] = await answers(engine, expected.x, [guide(pag, { scale: 3, layers })]);
      const apart = distance(eps ?? [], wanted);
      assert(apart < 2e-5, `${layers} is off by ${apart}`);
    }
    const [plain] = await answers(engine, expected.x, []);
    assert(distance(plain ?? [], expected.mid) > 1e-3, "the fixture is no test");
  });
}
