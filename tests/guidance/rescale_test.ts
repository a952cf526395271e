import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import rescale from "../../guidance/rescale.ts";
import { fromX0, type Images } from "../../plugin.ts";
import { testGuidance } from "../laws.ts";
import { distance } from "../pipeline/_closed_form.ts";
import { AT, guideOf, valuesOf } from "./_guide.ts";
import expected from "../fixtures/guidance/rescale.json" with { type: "json" };

testGuidance(rescale, {
  settings: [{ share: 1 }, { of: "x0" }, { of: "eps" }],
  neutral: { share: 0 },
});

const images = (values: readonly number[]): Images => tf.tensor4d([...values], [2, 2, 3, 1]);

Deno.test("rescale() is rescale_noise_cfg of diffusers, on whatever the network answers", async () => {
  // What diffusers is given are answers of the network; x = 0 makes x0 and eps follow from them.
  const x = images(Array<number>(12).fill(0));
  for (const half of ["v", "x0", "eps"] as const) {
    // At x = 0 v is a multiple of x0, and so is eps: any scale and sign keeps the ratio.
    const [scale, share] = half === "x0"
      ? [1, 0.7]
      : [half === "eps" ? -AT.sigma / AT.alpha : -1 / AT.sigma, 0.7];
    const [guided, unguided] = [expected.guided, expected.labelled].map((values) =>
      fromX0(x, AT, images(values.map((value) => value * scale)))
    );
    if (guided === undefined || unguided === undefined) throw new TypeError("There are two");
    const made = await rescale.guide(
      guided,
      guideOf({ x, unguided, options: { share, of: half } }),
    );
    const ours = valuesOf(made.x0).map((value) => value / scale);
    assert(distance(ours, expected.rescaled) < 1e-5, `${half}: ${ours}`);
  }
});

Deno.test("rescale() at share 1 gives the guided images the contrast of the unguided", async () => {
  const x = images(expected.labelled);
  const [guided, unguided] = [expected.guided, expected.labelled].map((values) =>
    fromX0(x, AT, images(values))
  );
  if (guided === undefined || unguided === undefined) throw new TypeError("There are two");
  for (const half of ["x0", "eps"] as const) {
    const made = await rescale.guide(
      guided,
      guideOf({ x, unguided, options: { share: 1, of: half } }),
    );
    const deviations = ({ x0, eps }: typeof made) =>
      valuesOf(tf.moments(half === "x0" ? x0 : eps, [1, 2, 3]).variance).map(Math.sqrt);
    assert(distance(deviations(made), deviations(unguided)) < 1e-6);
  }
});

Deno.test("rescale() leaves an image without contrast alone", async () => {
  const x = tf.ones([1, 2, 2, 1]) as Images;
  const flat = fromX0(x, AT, x);
  const made = await rescale.guide(
    flat,
    guideOf({ x, unguided: flat, options: { share: 1, of: "x0" } }),
  );
  assertEquals(valuesOf(made.x0).every(Number.isFinite), true);
});
