import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import threshold from "../../guidance/threshold.ts";
import { fromX0, type Images } from "../../plugin.ts";
import { testGuidance } from "../laws.ts";
import { distance } from "../pipeline/_closed_form.ts";

testGuidance(threshold, { settings: [{ percentile: 0.5 }, { max: 1 }, { percentile: 1 }] });

const AT = { t: 500, alpha: 0.6, sigma: 0.8 };
const SATURATED = [2.5, -0.3, 1.2, -3.75, 0.05, 0.9, -1.6, 0.4, 3.1];
const WITHIN = [0.2, -0.7, 0.1, 0.9, -0.95, 0.3, -0.15, 0.6, 0.8];

/** x0 after the guidance, of images of nine values. */
async function apply(x0: readonly number[], percentile: number, max = 100): Promise<number[]> {
  const shape: [number, number, number, number] = [x0.length / 9, 3, 3, 1];
  const x = tf.zeros(shape) as Images;
  const mix = tf.ones(shape) as Images;
  const guided = await threshold.guide(fromX0(x, AT, tf.tensor4d([...x0], shape), { mix }), {
    x,
    at: AT,
    unconditional: () => Promise.reject(new Error("it was asked for")),
    classifierGradient: () => Promise.reject(new Error("it was asked for")),
    takesShift: true,
    options: { percentile, max, keep_eps: false },
  });
  const noise = guided.x0.dataSync().map((value) => -0.6 * value / 0.8);
  assert(distance(guided.eps.dataSync(), noise) < 1e-6);
  assert(guided.mix === mix);
  return [...guided.x0.dataSync()];
}

/** torch.quantile(abs(SATURATED), percentile), torch 2.8. */
const QUANTILES = [
  [0.5, 1.2000000476837158],
  [0.8, 2.740000009536743],
  [0.9, 3.2299997806549072],
  [0.995, 3.7239999771118164],
  [1, 3.75],
] as const;

for (const [percentile, quantile] of QUANTILES) {
  Deno.test(`threshold() divides by the quantile of torch at ${percentile}`, async () => {
    const expected = SATURATED.map((value) =>
      Math.max(-quantile, Math.min(quantile, value)) / quantile
    );
    assert(distance(await apply(SATURATED, percentile), expected) < 1e-6);
  });
}

Deno.test("threshold() gives what torch gives", async () => {
  // torch.clamp(x, -s, s) / s with s = torch.quantile(x.abs(), 0.9)
  const expected = [
    0.773994,
    -0.092879,
    0.371517,
    -1,
    0.01548,
    0.278638,
    -0.495356,
    0.123839,
    0.959752,
  ];
  assert(distance(await apply(SATURATED, 0.9), expected) < 1e-6);
});

Deno.test("threshold() takes each image for itself", async () => {
  const both = await apply([...SATURATED, ...WITHIN], 0.9);
  assertEquals(both.slice(0, 9), await apply(SATURATED, 0.9));
  assertEquals(both.slice(9), await apply(WITHIN, 0.9));
});

Deno.test("threshold() leaves an image alone that stays within its range", async () => {
  assert(distance(await apply(WITHIN, 0.9), WITHIN) < 1e-7);
  const almost = [...WITHIN.slice(0, 8), 1.5]; // its quantile is below 1: cut, not scaled
  assert(distance(await apply(almost, 0.5), [...WITHIN.slice(0, 8), 1]) < 1e-7);
});

Deno.test("threshold() has a largest threshold; at 1 it only clips", async () => {
  const cut = (limit: number) =>
    SATURATED.map((value) => Math.max(-limit, Math.min(limit, value)) / limit);
  assert(distance(await apply(SATURATED, 0.9, 2), cut(2)) < 1e-6);
  assert(distance(await apply(SATURATED, 0.9, 1), cut(1)) < 1e-6);
});

Deno.test("threshold() knows the quantile of a single pixel", async () => {
  const x = tf.zeros([2, 1, 1, 1]) as Images;
  const { x0 } = await threshold.guide(fromX0(x, AT, tf.tensor4d([3, -0.5], [2, 1, 1, 1])), {
    x,
    at: AT,
    unconditional: () => Promise.reject(new Error("it was asked for")),
    classifierGradient: () => Promise.reject(new Error("it was asked for")),
    takesShift: true,
    options: { percentile: 0.995, max: 100, keep_eps: false },
  });
  assertEquals([...x0.dataSync()], [1, -0.5]);
});
