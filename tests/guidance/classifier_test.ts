import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import cfg from "../../guidance/cfg.ts";
import classifier from "../../guidance/classifier.ts";
import { fromX0, type Images, type Level, type Prediction } from "../../plugin.ts";
import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import { testGuidance } from "../laws.ts";
import {
  alone,
  choose,
  type ClosedForm,
  closedForm,
  distance,
  drawn,
} from "../pipeline/_closed_form.ts";
import { guide, linearPath, NO_CLASS, noiseOf } from "../pipeline/_closed_form.ts";

testGuidance(classifier, {
  settings: [{ scale: 4 }, { form: "score", scale: 2 }],
  neutral: { scale: 0 },
});

const images = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);
const AT = { t: 500, alpha: 0.6, sigma: 0.8 };
const X = [1, -2];
const SLOPE = [0.5, 0.25];
const UNLIMITED = 1e6;

/** A guidance applied by hand, to x0 = 0.5, -1. */
async function apply(
  options: { scale: number; form: "auto" | "mean" | "score"; limit?: number },
  { takesShift = true, at = AT as Level, shift }: {
    takesShift?: boolean;
    at?: Level;
    shift?: Images;
  } = {},
): Promise<{ before: Prediction; after: Prediction }> {
  const x = images(...X);
  const rest = { mix: images(0.2, 0.3), ...(shift && { shift }) };
  const before = fromX0(x, at, images(0.5, -1), rest);
  const after = await classifier.guide(before, {
    x,
    at,
    unconditional: () => Promise.reject(new Error("it was asked for")),
    classifierGradient: () => Promise.resolve(images(...SLOPE)),
    takesShift,
    options: { limit: UNLIMITED, ...options },
  });
  return { before, after };
}
const values = (tensor: tf.Tensor | undefined) => [...tensor?.dataSync() ?? []];

Deno.test("classifier() in score form moves eps against the gradient (ADM, Algorithm 2)", async () => {
  const { before, after } = await apply({ scale: 3, form: "score" });
  const expected = values(before.eps).map((eps, i) => eps - AT.sigma * 3 * (SLOPE[i] ?? NaN));
  assert(distance(values(after.eps), expected) < 1e-6);
  const clean = X.map((x, i) => (x - AT.sigma * (expected[i] ?? NaN)) / AT.alpha);
  assert(distance(values(after.x0), clean) < 1e-6);
  assertEquals([after.mix === before.mix, after.shift], [true, undefined]);
});

Deno.test("classifier() in score form moves no pixel of x0 by more than its limit", async () => {
  for (const alpha of [0.6, 1e-3]) {
    const at = { t: 900, alpha, sigma: Math.sqrt(1 - alpha ** 2) };
    const { before, after } = await apply({ scale: 100, form: "score", limit: 0.25 }, { at });
    const moved = values(after.x0).map((x0, i) => x0 - (values(before.x0)[i] ?? NaN));
    assert(distance(moved, [0.25, 0.25]) < 1e-3, `moved by ${moved}`);
  }
});

Deno.test("classifier() in mean form leaves the shift to the sampler (ADM, Algorithm 1)", async () => {
  const { before, after } = await apply({ scale: 3, form: "mean" });
  assert(after.x0 === before.x0 && after.eps === before.eps && after.mix === before.mix);
  assertEquals(values(after.shift), [1.5, 0.75]);
});

Deno.test("classifier() adds its shift to that of another guidance", async () => {
  const shift = images(1, 1);
  assertEquals(values((await apply({ scale: 2, form: "auto" }, { shift })).after.shift), [2, 1.5]);
  assert((await apply({ scale: 2, form: "score" }, { shift })).after.shift === shift);
});

Deno.test("classifier() takes the form that the sampler can, unless told which", async () => {
  const formOf = async (form: "auto" | "mean" | "score", takesShift: boolean) =>
    (await apply({ scale: 1, form }, { takesShift })).after.shift === undefined ? "score" : "mean";
  assertEquals(await formOf("auto", true), "mean");
  assertEquals(await formOf("auto", false), "score");
  assertEquals(await formOf("score", true), "score");
  await assertRejects(() => formOf("mean", false), RangeError, "no mean to shift");
});

Deno.test("classifier() in score form leaves pure noise alone, where no class shows", async () => {
  const at = { t: 999, alpha: 0, sigma: 1 };
  const { before, after } = await apply({ scale: 3, form: "score" }, { at });
  assert(after === before);
});

const mixture = {
  weights: [0.3, 0.7],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const labels = Int32Array.of(0, 1, 1);
const free = { network: labels.map(() => NO_CLASS), classifier: labels };

const draw = (form: Partial<ClosedForm>, sampler = choose(ddim)) =>
  drawn({
    sampler,
    path: linearPath(12),
    predict: closedForm({ mixture, conditions: free, ...form }).predict,
    noise: noiseOf(3, [1, 1, 2]),
  });

Deno.test("classifier() on the unconditional model equals cfg() of the same scale", async () => {
  for (const sampler of [choose(ddim), choose(ddim, { eta: 1 }), choose(ddpm)]) {
    for (const scale of [0, 0.5, 1, 3]) {
      const guided = guide(classifier, { scale, form: "score", limit: UNLIMITED });
      const ours = await draw({ guidances: [guided] }, sampler);
      const conditions = { network: labels };
      const theirs = await draw({ conditions, guidances: [guide(cfg, { scale })] }, sampler);
      const apart = distance(ours, theirs);
      assert(apart < 1e-4, `off by ${apart} at scale ${scale}`);
    }
  }
});

Deno.test("classifier() at scale 1 turns the unconditional model into the conditional one", async () => {
  const ours = await draw({ guidances: [guide(classifier, { scale: 1, limit: UNLIMITED })] });
  const theirs = await draw({ conditions: { network: labels } });
  assert(distance(ours, theirs) < 1e-4);
  assert(distance(ours, await draw({})) > 0.1);
});

Deno.test("classifier() has forms that differ by the ratio of alphas in a step of large variance", async () => {
  const to = { t: 400, alpha: 0.8, sigma: 0.6 };
  const step = async (prediction: Prediction) => {
    const { x } = await ddpm.step({
      ...alone(AT, to),
      x: images(...X),
      predict: () => Promise.resolve(prediction),
      noise: () => images(0, 0),
      options: { variance: "large" },
    }, undefined);
    return values(x);
  };
  const { before, after: mean } = await apply({ scale: 1, form: "mean" });
  const { after: score } = await apply({ scale: 1, form: "score" });
  const plain = await step(before);
  const [byMean, byScore] = [await step(mean), await step(score)];
  for (const [i, start] of plain.entries()) {
    const ratio = ((byScore[i] ?? NaN) - start) / ((byMean[i] ?? NaN) - start);
    assertAlmostEquals(ratio, to.alpha / AT.alpha, 1e-5);
  }
});

Deno.test("classifier() in mean form comes to the score form where steps are many", async () => {
  const apart: number[] = [];
  for (const steps of [25, 100]) {
    const images: Float32Array[] = [];
    for (const form of ["mean", "score"]) {
      const { predict } = closedForm({
        mixture,
        conditions: free,
        guidances: [guide(classifier, { scale: 1, form, limit: UNLIMITED })],
        takesShift: true,
      });
      const path = linearPath(steps);
      const sampler = choose(ddpm, { variance: "large" });
      images.push(await drawn({ sampler, path, predict, noise: noiseOf(3, [1, 1, 2]) }));
    }
    apart.push(distance(images[0] ?? [], images[1] ?? []));
  }
  const [few = NaN, many = NaN] = apart;
  assert(many < few / 2 && many < 0.05, `${few} then ${many}`);
});
