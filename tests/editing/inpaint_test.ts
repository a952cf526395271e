import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { chooseInpainting, inpainting } from "../../editing/inpaint.ts";
import { editedPath } from "../../editing/path.ts";
import { run } from "../../pipeline/run.ts";
import { pathProcess } from "../../pipeline/process.ts";
import type { Images } from "../../plugin.ts";
import { checkPlugin } from "../../plugins/load.ts";
import { samplers } from "../../samplers/mod.ts";
import { alphasCumprod, linear, path, rescaleZeroSnr } from "../../schedules/mod.ts";
import { choose, closedForm, linearPath, noiseOf } from "../pipeline/_closed_form.ts";

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3, 0.2, -0.6], [-0.4, 0.5, -0.8, 0.1]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const [CLEAN, OPEN] = [[0.7, -0.3, 0.2, -0.6], [0, 1, 0, 1]];
const known = {
  clean: (): Images => tf.tensor4d(CLEAN, [1, 2, 2, 1]),
  open: (): Images => tf.tensor4d(OPEN, [1, 2, 2, 1]),
};
const PATHS = {
  vp: linearPath(8),
  ve: [8, 4, 2, 1, 0.5, 0.25, 0.1, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma })),
  flow: [1, 0.9, 0.7, 0.5, 0.4, 0.2, 0.1, 0].map((sigma) => ({
    t: sigma,
    alpha: 1 - sigma,
    sigma,
  })),
  "zero SNR": path({
    alphasCumprod: alphasCumprod(rescaleZeroSnr(linear(1000))),
    spacing: "trailing",
    steps: 8,
  }),
};
const WAYS = ["replace", "repaint,jump=3,resample=2"];

for (const [name, load] of Object.entries(samplers)) {
  Deno.test(`${name} keeps what is known on every kind of path, leaks nothing, or is refused`, async () => {
    const sampler = choose(checkPlugin("sampler", name, (await load()).default));
    for (const [kind, levels] of Object.entries(PATHS)) {
      for (const text of WAYS) {
        const inpaint = chooseInpainting(text);
        const settle = () => editedPath(sampler, levels, pathProcess(levels), { inpaint: text });
        const { calls, timeline } = sampler.plugin;
        if (calls === Infinity || inpaint.name === "repaint" && timeline) {
          assertThrows(settle, RangeError, `sampler "${name}"`);
          continue;
        }
        const before = tf.memory().numTensors;
        const x = await run({
          sampler: inpainting(sampler, inpaint, known),
          path: settle(),
          predict: closedForm({ mixture }).predict,
          noise: noiseOf(3, [2, 2, 1], 1),
        });
        const values = [...await x.data()];
        x.dispose();
        assertEquals(tf.memory().numTensors, before, `${kind} ${text} leaks`);
        for (const [i, value] of values.entries()) {
          if (OPEN[i % 4] === 0) assertEquals(value, Math.fround(CLEAN[i % 4]!), `${kind} ${text}`);
          else assert(Number.isFinite(value));
        }
      }
    }
  });
}

Deno.test("what is known leads what is drawn: the other values are of the known ones' component", async () => {
  const sampler = choose(checkPlugin("sampler", "ddim", (await samplers.ddim()).default));
  const levels = linearPath(40);
  const mean = async (text: string) => {
    const inpaint = chooseInpainting(text);
    const x = await run({
      sampler: inpainting(sampler, inpaint, known),
      path: inpaint.timeline(levels),
      predict: closedForm({ mixture }).predict,
      noise: noiseOf(200, [2, 2, 1], 1),
    });
    const values = [...await x.data()];
    x.dispose();
    return [1, 3].map((at) =>
      values.reduce((sum, value, i) => sum + (i % 4 === at ? value / 200 : 0), 0)
    );
  };
  // Resampling comes nearer to the known component's means than replacing does.
  const off = async (text: string) =>
    (await mean(text)).reduce((sum, value, i) => sum + Math.abs(value - [-0.3, -0.6][i]!), 0);
  const [replace, repaint] = [await off("replace"), await off("repaint,jump=10,resample=6")];
  assert(repaint < 0.6 * replace, `${repaint} against ${replace}`);
});

Deno.test("chooseInpainting() refuses what there is not", () => {
  assertThrows(() => chooseInpainting("fill"), RangeError, "it must be replace or repaint");
  assertThrows(() => chooseInpainting("replace,jump=2"), RangeError, "jump");
  assertThrows(() => chooseInpainting("repaint,jump=0"), RangeError, "must be at least 1");
  assertEquals(chooseInpainting("repaint").spec, "repaint,jump=10,resample=10");
});

Deno.test("editedPath() refuses a sampler that climbs above where a picture begins", async () => {
  const restart = choose(checkPlugin("sampler", "restart", (await samplers.restart()).default));
  const levels = linearPath(50);
  const settle = (strength: number) =>
    editedPath(restart, levels, pathProcess(levels), { strength });
  assertThrows(() => settle(0.06), RangeError, "it goes back to more noise");
  assert(settle(0.6).length > 31);
});
