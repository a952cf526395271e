import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import cfg from "../../guidance/cfg.ts";
import rescale from "../../guidance/rescale.ts";
import expected from "../fixtures/guidance/cfg.json" with { type: "json" };
import { answers, ENGINES } from "./_network.ts";
import { fromX0, type Images } from "../../plugin.ts";
import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import { testGuidance } from "../laws.ts";
import { guideOf } from "./_guide.ts";
import { choose, type ClosedForm, closedForm, distance, drawn } from "../pipeline/_closed_form.ts";
import { guide, linearPath, NO_CLASS, noiseOf } from "../pipeline/_closed_form.ts";

testGuidance(cfg, {
  settings: [{ scale: 0 }, { scale: 0.5 }, { scale: 8 }, { scale: 2, form: "w" }],
  neutral: { scale: 0, form: "w" },
});

const images = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);
const AT = { t: 500, alpha: 0.6, sigma: 0.8 };

/** A guidance applied by hand. */
async function apply(
  scale: number,
  labelled: number[],
  free: number[],
  form: "s" | "w" = "s",
) {
  const x = images(1, -2);
  const [ours, theirs] = [labelled, free].map((x0) => fromX0(x, AT, images(...x0)));
  const [mix, other] = [images(0.2, 0.3), images(0.8, 0.9)];
  if (ours === undefined || theirs === undefined) throw new TypeError("There are two halves");
  const guided = await cfg.guide(
    { ...ours, mix },
    guideOf({
      x,
      at: AT,
      unconditional: () => Promise.resolve({ ...theirs, mix: other }),
      takesShift: false,
      options: { scale, form },
    }),
  );
  return { guided, ours, theirs, mix };
}

Deno.test("cfg() extrapolates from the unconditional to the conditional half", async () => {
  for (const scale of [0, 0.5, 1, 3]) {
    const { guided, ours, theirs } = await apply(scale, [0.5, -1], [0.25, 1]);
    // Equation 6 of the paper, with w = scale - 1, on eps; on x0 it reads the same.
    for (const half of ["eps", "x0"] as const) {
      const [with_, without] = [ours[half].dataSync(), theirs[half].dataSync()];
      const expected = with_.map((value, i) => scale * value - (scale - 1) * (without[i] ?? NaN));
      assert(distance(guided[half].dataSync(), expected) < 1e-6);
    }
  }
});

Deno.test("cfg() in form w is the form s of 1 + w", async () => {
  for (const scale of [0, 0.5, 3]) {
    const { guided } = await apply(scale, [0.5, -1], [0.25, 1], "w");
    const { guided: same } = await apply(1 + scale, [0.5, -1], [0.25, 1]);
    assert(distance(guided.x0.dataSync(), same.x0.dataSync()) < 1e-7);
  }
});

Deno.test("cfg() keeps the variance of the labelled half", async () => {
  for (const scale of [0, 1, 3]) {
    const { guided, mix } = await apply(scale, [0.5, -1], [0.25, 1]);
    assertEquals(guided.mix, mix);
  }
});

Deno.test("cfg() does not ask for the unconditional half at scale 1", async () => {
  const [x, x0] = [images(1), images(0.5)];
  const prediction = fromX0(x, AT, x0);
  for (const options of [{ scale: 1, form: "s" }, { scale: 0, form: "w" }] as const) {
    assert(await cfg.guide(prediction, guideOf({ x, options })) === prediction);
  }
});

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const labels = Int32Array.of(0, 1, 1);
const nobody = labels.map(() => NO_CLASS);

const draw = (form: Partial<ClosedForm>, sampler = choose(ddim)) =>
  drawn({
    sampler,
    path: linearPath(12),
    predict: closedForm({ mixture, conditions: { network: labels }, ...form }).predict,
    noise: noiseOf(3, [1, 1, 2]),
  });

Deno.test("cfg() at scale 0 is the unconditional model, at scale 1 the conditional one", async () => {
  for (const sampler of [choose(ddim), choose(ddpm)]) {
    const off = await draw({ guidances: [guide(cfg, { scale: 0 })] }, sampler);
    const free = await draw({ conditions: { network: nobody } }, sampler);
    const one = await draw({ guidances: [guide(cfg, { scale: 1 })] }, sampler);
    const labelled = await draw({}, sampler);
    assert(distance(off, free) < 1e-5);
    assertEquals(one, labelled);
    assert(distance(free, labelled) > 0.1);
  }
});

Deno.test("cfg() goes to scale times the mean where both halves are Gaussians of one width", async () => {
  const images = async (form: Partial<ClosedForm> & Pick<ClosedForm, "mixture">) =>
    await drawn({
      sampler: choose(ddim),
      path: linearPath(12),
      predict: closedForm(form).predict,
      noise: noiseOf(2, [1, 1, 1]),
    });
  // The class has mean 0.25, everything together as good as mean 0.
  const scaled = await images({
    mixture: { weights: [1e-30, 1], means: [[0.25], [0]], deviations: [[0.3], [0.3]] },
    conditions: { network: Int32Array.of(0, 0) },
    guidances: [guide(cfg, { scale: 3 })],
  });
  const exact = await images({
    mixture: { weights: [1], means: [[0.75]], deviations: [[0.3]] },
  });
  assert(distance(scaled, exact) < 1e-5);
});

for (const engine of ENGINES) {
  Deno.test(`cfg() and rescale() are ClassifierFreeGuidance of diffusers on ${engine}`, async () => {
    const runs = {
      s: [guide(cfg, { scale: 4 })],
      w: [guide(cfg, { scale: 4, form: "w" })],
      rescaled: [guide(cfg, { scale: 4 }), guide(rescale, { share: 0.7, of: "eps" })],
    };
    for (const [name, guidances] of Object.entries(runs)) {
      const [eps = []] = await answers(engine, expected.x, guidances);
      const apart = distance(eps, expected[name as keyof typeof runs]);
      assert(apart < 2e-5, `${name} is off by ${apart}`);
    }
  });
}
