import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import clip from "../../guidance/clip.ts";
import { fromX0, type Images } from "../../plugin.ts";
import { testGuidance } from "../laws.ts";
import { distance } from "../pipeline/_closed_form.ts";

testGuidance(clip, { settings: [{ range: 0.5 }], neutral: { range: 1e6 } });

const images = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);

Deno.test("clip() cuts x0 at its range, and the noise follows", async () => {
  const at = { t: 500, alpha: 0.6, sigma: 0.8 };
  const x = images(1, -1, 0.5, 0);
  const [mix, shift] = [images(0, 0.5, 1, 0.2), images(1, 2, 3, 4)];
  for (const [range, expected] of [[1, [1, -1, 0.5, 0]], [0.25, [0.25, -0.25, 0.25, 0]]] as const) {
    const guided = await clip.guide(fromX0(x, at, images(2, -3, 0.5, 0), { mix, shift }), {
      x,
      at,
      unconditional: () => Promise.reject(new Error("it was asked for")),
      classifierGradient: () => Promise.reject(new Error("it was asked for")),
      takesShift: true,
      options: { range, keep_eps: false },
    });
    assertEquals([...guided.x0.dataSync()], [...expected]);
    const noise = expected.map((x0, i) => ((x.dataSync()[i] ?? NaN) - 0.6 * x0) / 0.8);
    assert(distance(guided.eps.dataSync(), noise) < 1e-6);
    assert(guided.mix === mix && guided.shift === shift);
  }
});

Deno.test("clip() with keep_eps leaves the noise as DDIM of diffusers does", async () => {
  const at = { t: 500, alpha: 0.6, sigma: 0.8 };
  const x = images(1, -1);
  const before = fromX0(x, at, images(2, 0.5));
  const { x0, eps } = await clip.guide(before, {
    x,
    at,
    unconditional: () => Promise.resolve(before),
    classifierGradient: () => Promise.resolve(x),
    takesShift: false,
    options: { range: 1, keep_eps: true },
  });
  assertEquals([...x0.dataSync()], [1, 0.5]);
  assert(eps === before.eps);
});
