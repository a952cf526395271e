import { assert, assertAlmostEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import { eagerEngine } from "../../engines/eager.ts";
import { boundOfImages, termComputation } from "../../evaluation/bound_terms.ts";
import { alphasCumprodOf } from "../../schedules/mod.ts";
import type { Reading } from "../../training/objectives/reverse.ts";
import { fixture, images } from "../training/objectives/_fixture.ts";
import { onCpu } from "../training/_tiny.ts";

const LEVELS = 40;
const alphasCumprod = alphasCumprodOf({
  beta_schedule: "squaredcos_cap_v2",
  num_train_timesteps: LEVELS,
});
const timesteps = Array.from({ length: LEVELS }, (_, t) => t);

/** Noise or answers of all levels of one image, the noisiest first. */
function byLevel(name: string, image: number): tf.Tensor4D[] {
  return timesteps.map((level) =>
    tf.tidy(() => tf.slice(images(fixture(name), level), [image, 0, 0, 0], [1, -1, -1, -1]))
  );
}

for (const clip of [true, false]) {
  const name = `calc_bpd_loop.${clip ? "clip" : "noclip"}`;
  Deno.test(`boundOfImages() gives every term of OpenAI's ${name}`, () =>
    onCpu(async () => {
      const reading: Reading = { mean: "epsilon", variance: "learned_range", clip };
      for (const image of [0, 1, 2]) {
        const answers = byLevel("calc_bpd_loop.model_output", image);
        const draws = byLevel("calc_bpd_loop.noise", image);
        const engine = eagerEngine("cpu", "the test");
        const terms = engine.compile(
          termComputation((_, __, t) => answers[LEVELS - 1 - t.dataSync()[0]!]!, reading),
          new Map(),
        );
        const x0 = tf.tidy(() =>
          tf.slice(images(fixture("calc_bpd_loop.x_start")), [image, 0, 0, 0], [1, -1, -1, -1])
        );
        let level = 0;
        const noise = () => Float32Array.from(draws[level++]!.dataSync());
        const made = await boundOfImages({ terms, alphasCumprod, timesteps }, { x0, noise });
        const expected = (part: string) => fixture(`${name}.${part}`).data;
        const near = (value: number, wanted: number, what: string) =>
          assertAlmostEquals(value, wanted, 1e-5 * Math.max(1, Math.abs(wanted)), what);
        near(made.totals[0]!, expected("total_bpd")[image]!, "total");
        near(made.priors[0]!, expected("prior_bpd")[image]!, "L_T");
        for (const t of timesteps) {
          const at = image * LEVELS + LEVELS - 1 - t;
          near(made.terms[t]!, expected("vb")[at]!, `term ${t}`);
          near(made.x0Errors[t]!, expected("xstart_mse")[at]!, `error of x0 at ${t}`);
          near(made.noiseErrors[t]!, expected("mse")[at]!, `error of the noise at ${t}`);
        }
        tf.dispose([answers, draws, x0]);
      }
    }));
}

Deno.test("boundOfImages() gives an image the same bound in every batch, and a batch the sums", () =>
  onCpu(async () => {
    const engine = eagerEngine("cpu", "the test");
    const terms = engine.compile(
      termComputation((_, x) => tf.mul(x, 0.5), { mean: "epsilon", variance: "small", clip: true }),
      new Map(),
    );
    const pixels = [-1, 1, 0.2, -0.6];
    const measure = (own: readonly number[]) => {
      const x0 = tf.tensor4d([...own], [own.length, 1, 1, 1]);
      let level = 0;
      const noise = () => {
        level++;
        return Float32Array.from(own, (pixel) => Math.sin(level * (pixel + 2)));
      };
      return boundOfImages({ terms, alphasCumprod, timesteps }, { x0, noise })
        .finally(() => x0.dispose());
    };
    const together = await measure(pixels);
    const alone = [];
    for (const pixel of pixels) alone.push(await measure([pixel]));
    for (const [image, { totals }] of alone.entries()) {
      assertAlmostEquals(together.totals[image]!, totals[0]!, 1e-5);
    }
    for (const t of timesteps) {
      const sum = alone.reduce((sum, { terms }) => sum + terms[t]!, 0);
      assertAlmostEquals(together.terms[t]!, sum, 1e-4 * Math.max(1, sum));
    }
  }));

Deno.test("boundOfImages() ends between two levels when it is told to", () =>
  onCpu(async () => {
    const engine = eagerEngine("cpu", "the test");
    const controller = new AbortController();
    const terms = engine.compile(
      termComputation((_, x) => x, { mean: "epsilon", variance: "small", clip: true }),
      new Map(),
    );
    const x0 = tf.zeros([1, 1, 1, 1]) as tf.Tensor4D;
    let levels = 0;
    const onLevel = () => ++levels === 3 && controller.abort(new Error("enough"));
    const { signal } = controller;
    const noise = () => new Float32Array(1);
    await assertRejects(
      () => boundOfImages({ terms, alphasCumprod, timesteps }, { x0, noise }, { onLevel, signal }),
      Error,
      "enough",
    );
    assert(levels === 3);
    x0.dispose();
  }));
