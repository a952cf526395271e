import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import cfg from "../../guidance/cfg.ts";
import classifier from "../../guidance/classifier.ts";
import clip from "../../guidance/clip.ts";
import type { Guidance, Images } from "../../plugin.ts";
import type { Conditions } from "../../pipeline/denoiser.ts";
import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import {
  choose,
  type ClosedForm,
  closedForm,
  distance,
  drawn,
  guide,
  linearPath,
  NO_CLASS,
  noiseOf,
} from "./_closed_form.ts";

const SHAPE = [1, 1, 2] as const;
const mixture = {
  weights: [0.4, 0.6],
  means: [[0.6, -0.4], [-0.5, 0.7]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const labels = Int32Array.of(0, 1, 0);
const both: Conditions = { network: labels, classifier: labels };

/** The images of a run over three images, and the model's calls. */
async function draw(form: Partial<ClosedForm>, steps = 4, sampler = choose(ddim)) {
  const model = closedForm({ mixture, conditions: both, ...form });
  const images = await drawn({
    sampler,
    path: linearPath(steps),
    predict: model.predict,
    noise: noiseOf(3, SHAPE),
  });
  return { ...model, images };
}

Deno.test("guidedPredict() calls the network once a step, with both halves where one asks", async () => {
  const plain = await draw({});
  assertEquals(plain.calls.map(({ batch }) => batch), [3, 3, 3, 3]);
  assertEquals(plain.calls.map(({ labels }) => labels), Array(4).fill([0, 1, 0]));
  const guided = await draw({ guidances: [guide(cfg, { scale: 2 })] });
  assertEquals(guided.calls.map(({ batch }) => batch), [6, 6, 6, 6]);
  assertEquals(
    guided.calls.map(({ labels }) => labels),
    Array(4).fill([NO_CLASS, NO_CLASS, NO_CLASS, 0, 1, 0]),
  );
  assertEquals(guided.calls.map(({ t }) => t), [999, 749, 499, 249].map((t) => Array(6).fill(t)));
  const twice = await draw({ guidances: [guide(cfg), guide(cfg)] });
  assertEquals(twice.calls.length, 4);
});

Deno.test("guidedPredict() gives the halves of one batch what two batches would", async () => {
  const path = linearPath(2);
  const [at] = path;
  if (at === undefined) throw new RangeError("The path is empty");
  const x: Images = tf.tensor4d(noiseOf(3, SHAPE).draw(), [3, ...SHAPE]);
  const halves: Images[] = [];
  const spy: Guidance = {
    ...cfg,
    async guide(prediction, { unconditional }) {
      halves.push((await unconditional()).x0, prediction.x0);
      return prediction;
    },
  };
  await closedForm({ mixture, conditions: both, guidances: [guide(spy)] }).predict(x, at, 0);
  for (const [half, network] of [labels.map(() => NO_CLASS), labels].entries()) {
    const { x0 } = await closedForm({ mixture, conditions: { network } }).predict(x, at, 0);
    assertEquals(distance(halves[half]?.dataSync() ?? [], x0.dataSync()), 0);
  }
});

Deno.test("guidedPredict() does not double the batch of images that have no class", async () => {
  const network = labels.map(() => NO_CLASS);
  const conditions = { network, classifier: labels };
  const { calls, images } = await draw({ conditions, guidances: [guide(cfg, { scale: 5 })] });
  assertEquals(calls.map(({ batch }) => batch), [3, 3, 3, 3]);
  assert(distance(images, (await draw({ conditions })).images) < 1e-6);
});

Deno.test("guidedPredict() asks the classifier at each step for its own labels", async () => {
  const network = labels.map(() => NO_CLASS);
  const conditions = { network, classifier: Int32Array.of(1, 1, 0) };
  const { calls, gradients } = await draw({ conditions, guidances: [guide(classifier)] });
  assertEquals(gradients.map(({ labels }) => labels), Array(4).fill([1, 1, 0]));
  assertEquals(gradients.map(({ t }) => t[0]), [999, 749, 499, 249]);
  assertEquals(calls.length, 4);
});

Deno.test("guidedPredict() applies a guidance between from and until", async () => {
  const steps = async (from: number, until: number, count: number) => {
    let called = 0;
    const seen: number[] = [];
    const spy: Guidance = {
      ...cfg,
      guide(prediction) {
        seen.push(called);
        return prediction;
      },
    };
    const { calls } = await draw({ guidances: [guide(spy, {}, { from, until })] }, count, {
      ...choose({
        ...ddim,
        async step(input, history) {
          const next = await ddim.step({ ...input, options: { eta: 0 } }, history);
          called++;
          return next;
        },
      }),
    });
    // Where it does not act, its half of the batch is not computed.
    assertEquals(calls.map(({ batch }) => batch === 6), calls.map((_, i) => seen.includes(i)));
    return seen;
  };
  assertEquals(await steps(0, 1, 4), [0, 1, 2, 3]);
  assertEquals(await steps(0.25, 0.75, 4), [1, 2]);
  assertEquals(await steps(0, 0.5, 5), [0, 1, 2]);
  assertEquals(await steps(0.7, 1, 10), [7, 8, 9]);
  assertEquals(await steps(0.9, 1, 5), []);
});

Deno.test("guidedPredict() applies guidances in their order", async () => {
  const first = await draw({ guidances: [guide(cfg, { scale: 4 }), guide(clip)] }, 1);
  const last = await draw({ guidances: [guide(clip), guide(cfg, { scale: 4 })] }, 1);
  assert(Math.max(...first.images.map(Math.abs)) <= 1);
  assert(Math.max(...last.images.map(Math.abs)) > 1);
});

Deno.test("guidedPredict() refuses before the first step what a model cannot give", () => {
  const refuse = (form: Partial<ClosedForm>, guidance: Guidance, reason: string) =>
    assertThrows(
      () => closedForm({ mixture, conditions: both, ...form, guidances: [guide(guidance)] }),
      TypeError,
      `Cannot use guidance "${guidance.name}" with mixture: ${reason}`,
    );
  refuse({ nullClass: false }, cfg, "the model has no null class");
  refuse({ gradient: null }, classifier, "the model has no classifier/ folder");
  refuse({ conditions: { network: labels } }, classifier, "it needs a class to pull the images to");
});

Deno.test("guidedPredict() tells guidances whether the sampler takes a shift", async () => {
  const seen: boolean[] = [];
  const spy: Guidance = {
    ...clip,
    guide(prediction, { takesShift }) {
      seen.push(takesShift);
      return prediction;
    },
  };
  for (const takesShift of [true, false]) await draw({ guidances: [guide(spy)], takesShift }, 1);
  assertEquals(seen, [true, false]);
  await assertRejects(
    () => draw({ guidances: [guide(classifier, { form: "mean" })] }),
    RangeError,
    'Cannot use guidance "classifier": the sampler has no mean to shift',
  );
});

Deno.test("guidedPredict() reads epsilon, sample and v_prediction of one model alike", async () => {
  for (const sampler of [choose(ddim), choose(ddpm)]) {
    const images: Float32Array[] = [];
    for (const type of ["epsilon", "sample", "v_prediction"] as const) {
      images.push(
        (await draw({ type, guidances: [guide(cfg, { scale: 2 })] }, 10, sampler)).images,
      );
    }
    const [epsilon, sample, velocity] = images;
    assert(distance(epsilon ?? [], sample ?? []) < 1e-4);
    assert(distance(velocity ?? [], sample ?? []) < 1e-4);
  }
});

Deno.test("guidedPredict() passes on the variance of the labelled half", async () => {
  const variance = [0.5, -1];
  const plain = await draw({}, 3, choose(ddpm));
  for (const guidances of [[], [guide(cfg, { scale: 1 })]]) {
    const small = await draw({ variance: [-1], guidances }, 3, choose(ddpm));
    const mixed = await draw({ variance, guidances }, 3, choose(ddpm));
    assert(distance(small.images, plain.images) < 1e-6);
    const apart = mixed.images.map((value, i) => Math.abs(value - (plain.images[i] ?? NaN)));
    assert(apart.every((difference, i) => i % 2 === 0 ? difference > 1e-3 : difference < 1e-6));
  }
});

Deno.test("guidedPredict() has no labels for a network without classes", async () => {
  const { calls } = await draw({ conditions: {} });
  assertEquals(calls.map(({ labels }) => labels), Array(4).fill(undefined));
});
