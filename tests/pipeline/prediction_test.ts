import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { fromEps, fromV, fromX0, type Images, type Level } from "../../plugin.ts";
import { networkInput, parameterization, toPrediction } from "../../pipeline/prediction.ts";
import ddpm from "../../samplers/ddpm.ts";
import { distance } from "./_closed_form.ts";

const images = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);
const values = (tensor: tf.Tensor | undefined) => [...tensor?.dataSync() ?? []];

const LEVELS: Level[] = [
  { t: 10, alpha: 0.6, sigma: 0.8 }, // variance-preserving
  { t: 10, alpha: 1, sigma: 14 }, // variance-exploding
  { t: 10, alpha: 0.7, sigma: 0.3 }, // flow
];
const [X0, EPS] = [[0.5, -0.25, 1], [1.5, 0.5, -2]];

Deno.test("toPrediction() turns what a network answers into clean images and noise", () => {
  for (const at of LEVELS) {
    const mix = (a: number, b: number) =>
      images(...X0.map((clean, i) => a * clean + b * (EPS[i] ?? NaN)));
    const x = mix(at.alpha, at.sigma);
    const answers = {
      epsilon: mix(0, 1),
      sample: mix(1, 0),
      v_prediction: mix(-at.sigma, at.alpha),
      flow_prediction: mix(-1, 1),
      score: mix(0, -1 / at.sigma),
    } as const;
    for (const [type, raw] of Object.entries(answers)) {
      const read = { type: type as keyof typeof answers, learned: false };
      const { x0, eps, mix } = toPrediction(raw, x, at, read);
      assert(distance(values(x0), X0) < 1e-5, type);
      assert(distance(values(eps), EPS) < 1e-5, type);
      assertEquals(mix, undefined);
    }
  }
});

Deno.test("toPrediction() splits off the variance of each channel as a share", () => {
  const x = tf.zeros([1, 1, 2, 3]) as Images;
  const raw = tf.tensor4d([1, 2, 3, -1, 0, 1, 4, 5, 6, 0.5, -0.5, -3], [1, 1, 2, 6]);
  for (const type of ["epsilon", "sample", "v_prediction"] as const) {
    const { mix, x0, eps } = toPrediction(raw, x, LEVELS[0] as Level, { type, learned: true });
    assertEquals(values(mix), [0, 0.5, 1, 0.75, 0.25, -1]);
    assertEquals([mix?.shape, x0.shape, eps.shape], Array(3).fill([1, 1, 2, 3]));
  }
  const { eps } = toPrediction(raw, x, LEVELS[0] as Level, { type: "epsilon", learned: true });
  assertEquals(values(eps), [1, 2, 3, 4, 5, 6]);
});

Deno.test("toPrediction() reads x0 and v where nothing of the image is left", () => {
  const at = { t: 999, alpha: 0, sigma: 1 };
  const x = images(1.5, -0.5);
  for (
    const [type, raw] of [["sample", images(0.5, 1)], ["v_prediction", images(-0.5, -1)]] as const
  ) {
    const { x0, eps } = toPrediction(raw, x, at, { type, learned: false });
    assertEquals([values(x0), values(eps)], [[0.5, 1], [1.5, -0.5]]);
  }
  assertThrows(
    () => toPrediction(x, x, at, { type: "epsilon", learned: false }),
    RangeError,
    "Cannot use a model that predicts epsilon at t=999: nothing of the image is left there",
  );
});

Deno.test("fromX0(), fromEps() and fromV() are inverses and keep x = alpha x0 + sigma eps", () => {
  for (const at of LEVELS) {
    const x = images(0.75, -2, 3);
    const first = fromX0(x, at, images(0.5, -0.25, 1));
    const v = tf.sub(tf.mul(first.eps, at.alpha), tf.mul(first.x0, at.sigma)) as Images;
    for (const { x0, eps } of [first, fromEps(x, at, first.eps), fromV(x, at, v)]) {
      const sum = tf.add(tf.mul(x0, at.alpha), tf.mul(eps, at.sigma));
      assert(distance(values(sum), values(x)) < 1e-5);
      assert(distance(values(x0), values(first.x0)) < 1e-5);
      assert(distance(values(eps), values(first.eps)) < 1e-5);
    }
  }
});

Deno.test("fromX0(), fromEps() and fromV() keep variance and shift", () => {
  const [x, mix, shift] = [images(1), images(0.5), images(2)];
  const at = LEVELS[0] as Level;
  for (const make of [fromX0, fromEps, fromV]) {
    const prediction = make(x, at, x, { mix, shift });
    assert(prediction.mix === mix && prediction.shift === shift);
    assertEquals(Object.keys(make(x, at, x)).toSorted(), ["eps", "x0"]);
  }
});

Deno.test("parameterization() knows the names of diffusers and refuses others", () => {
  assertEquals(parameterization({}, true), { type: "epsilon", learned: true });
  assertThrows(
    () => parameterization({ prediction_type: "flow" }, false),
    TypeError,
    "Cannot use prediction_type=flow: it must be one of epsilon, sample, v_prediction, flow_pred",
  );
});

Deno.test("parameterization() follows the class of the scheduler", () => {
  const of = (name: string, config = {}) =>
    parameterization({ _class_name: `${name}Scheduler`, ...config }, false);
  assertEquals(of("EDMEuler", { sigma_data: 0.25 }).edm, { sigmaData: 0.25, sign: 1 });
  assertEquals(of("EDMEuler", { prediction_type: "v_prediction" }).edm?.sign, -1);
  assertEquals(of("FlowMatchEulerDiscrete").type, "flow_prediction");
  assertEquals(of("ScoreSdeVe").type, "score");
  assertEquals(
    of("UniPCMultistep", { prediction_type: "flow_prediction" }).type,
    "flow_prediction",
  );
});

Deno.test("EDM's network sees unit variance and answers the residual of its target", () => {
  // Karras et al. 2022, equation 7: D = c_skip x + c_out F(c_in x), at sigma 2 and sigma_data 0.5.
  const at = { t: Math.log(2) / 4, alpha: 1, sigma: 2 };
  const read = parameterization({ _class_name: "EDMEulerScheduler" }, false);
  const x = images(3, -1);
  const scale = 1 / Math.sqrt(4.25);
  assert(distance(values(networkInput(x, at, read)), [3 * scale, -1 * scale]) < 1e-6);
  const { x0, eps } = toPrediction(images(0.5, -2), x, at, read);
  const clean = [3 * 0.25 / 4.25 + 0.5 * scale, -0.25 / 4.25 - 2 * scale];
  assert(distance(values(x0), clean) < 1e-6);
  assert(distance(values(eps), clean.map((c, i) => ((x.dataSync()[i] ?? NaN) - c) / 2)) < 1e-6);
  assert(networkInput(x, at, { type: "epsilon", learned: false }) === x);
});

Deno.test("a flow's answer has an image even where nothing of it is left", () => {
  const at = { t: 1000, alpha: 0, sigma: 1 };
  const { x0, eps } = toPrediction(images(0.25), images(1), at, {
    type: "flow_prediction",
    learned: false,
  });
  assertEquals([values(x0), values(eps)], [[0.75], [1]]);
});

Deno.test("a learned logarithm is the variance that ddpm draws with, in any stride", async () => {
  const logs = [-3, -4.5];
  const read = parameterization({ variance_type: "learned" }, true);
  assertEquals(read.variance, "log");
  const raw = tf.tensor4d([0, logs[0] ?? 0, 0, logs[1] ?? 0], [1, 1, 2, 2]);
  const x = images(0.5, -1);
  for (const [from, to] of [[0.6, 0.61], [0.6, 0.95], [0.1, 0.9]] as const) {
    const [at, next] = [from, to].map((alpha, i): Level => ({
      t: 500 - i,
      alpha,
      sigma: Math.sqrt(1 - alpha ** 2),
    })) as [Level, Level];
    const step = async (noise: number) => {
      const { x: end } = await ddpm.step({
        x,
        from: at,
        to: next,
        path: [at, next],
        index: 0,
        process: { atRatio: () => at, atTime: () => at },
        predict: (x, level) => Promise.resolve(toPrediction(raw, x, level, read, next)),
        noise: () => images(noise, noise),
        options: { variance: "model" },
      }, undefined);
      return values(end);
    };
    const [still, moved] = [await step(0), await step(1)];
    const spreads = moved.map((value, i) => 2 * Math.log(value - (still[i] ?? NaN)));
    assert(distance(spreads, logs) < 2e-3, `${spreads}`);
  }
  const end = { t: -1, alpha: 1, sigma: 0 };
  assertEquals(toPrediction(raw, x, LEVELS[0] as Level, read, end).mix, undefined);
});
