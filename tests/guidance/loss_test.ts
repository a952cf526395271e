import { assert, assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import loss from "../../guidance/loss.ts";
import { openEngine } from "../../engines/mod.ts";
import { guidedPredict, loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import type { Guidance, Loss } from "../../plugin.ts";
import { choosePlugin } from "../../plugins/load.ts";
import { guidances } from "../../guidance/mod.ts";
import { testGuidance } from "../laws.ts";
import {
  cleanOf,
  closedForm,
  distance,
  guide,
  NO_CLASS,
  noiseOf,
} from "../pipeline/_closed_form.ts";
import { linearPath } from "../pipeline/_closed_form.ts";

testGuidance(loss, {
  settings: [{ scale: 3 }, { form: "eps", scale: 0.5 }, { limit: 0.1 }],
  neutral: { scale: 0 },
});

const mixture = {
  weights: [0.4, 0.6],
  means: [[0.6, -0.4], [-0.5, 0.7]],
  deviations: [[0.2, 0.3], [0.4, 0.1]],
};
const weights = [1, 3];
/** The weighted squares of what is not 0.5. */
const penalty: Loss = (x0) =>
  tf.sum(tf.mul(tf.square(tf.sub(x0, 0.5)), tf.tensor1d(weights).reshape([1, 1, 1, 2])));
const penaltyOf = (clean: ArrayLike<number>) =>
  Array.from(clean).reduce(
    (sum, value, i) => sum + (weights[i % 2] ?? NaN) * (value - 0.5) ** 2,
    0,
  );

for (const network of [Int32Array.of(0, 1), Int32Array.of(NO_CLASS, NO_CLASS)]) {
  for (const type of ["epsilon", "sample", "v_prediction"] as const) {
    Deno.test(`loss() follows the slope through a network of ${type} (labels ${network})`, async () => {
      const at = linearPath(4)[2];
      if (at === undefined) throw new RangeError("The path is empty");
      const x = noiseOf(2, [1, 1, 2], 4).draw();
      const clean = (x: ArrayLike<number>) => cleanOf(mixture, { x, size: 2, at, labels: network });
      // d loss(x0(x)) / dx by central differences in doubles
      const slope = Float64Array.from(x, (_, i) => {
        const moved = (by: number) =>
          Float64Array.from(x, (value, j) => value + (i === j ? by : 0));
        return (penaltyOf(clean(moved(1e-5))) - penaltyOf(clean(moved(-1e-5)))) / 2e-5;
      });
      for (const form of ["x0", "eps"] as const) {
        const [scale, limit] = [0.3, 1e6];
        const guided = guide(loss, { scale, form, limit }, { loss: penalty });
        const model = closedForm({ mixture, type, conditions: { network }, guidances: [guided] });
        const made = await model.predict(tf.tensor4d(x, [2, 1, 1, 2]), at, 0);
        // Ho et al. 2022, equation 7; Bansal et al. 2023, equation 6, on eps.
        const expected = clean(x).map((value, i) => {
          const along = slope[i] ?? NaN;
          if (form === "x0") return value - scale * at.alpha / 2 * along;
          const eps = ((x[i] ?? NaN) - at.alpha * value) / at.sigma + scale * at.sigma * along;
          return ((x[i] ?? NaN) - at.sigma * eps) / at.alpha;
        });
        const apart = distance(made.x0.dataSync(), expected);
        assert(apart < 1e-4, `${form} is off by ${apart}`);
        assertEquals([model.calls.length, model.pullbacks.length], [1, 1]);
      }
    });
  }
}

Deno.test("throughNetwork() is the slope of the bundled network", async () => {
  const model = openModel("digits");
  const engine = await openEngine("onnx");
  try {
    const denoiser = loadDenoiser(model, engine);
    const at = linearPath(4)[2];
    if (at === undefined) throw new RangeError("The path is empty");
    const shape = [32, 32, 1] as const;
    const [x, slope, way] = [1, 2, 3].map((seed) =>
      tf.tensor4d(noiseOf(1, shape, seed).draw(), [1, ...shape])
    );
    if (x === undefined || slope === undefined || way === undefined) throw new TypeError("None");
    const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0] ?? NaN;
    let along = NaN;
    const spy: Guidance = {
      ...loss,
      async guide(prediction, { throughNetwork }) {
        along = dot(await throughNetwork(slope), way);
        return prediction;
      },
    };
    const conditions = { network: Int32Array.of(3) };
    const predict = guidedPredict(denoiser, conditions, [guide(spy)], false);
    const valueAt = async (step: number) =>
      dot((await predict(tf.add(x, tf.mul(way, step)) as tf.Tensor4D, at, 0)).x0, slope);
    const step = 1e-2;
    const expected = (await valueAt(step) - await valueAt(-step)) / (2 * step);
    await valueAt(0);
    assert(
      Math.abs(along - expected) < 1e-2 * Math.max(1, Math.abs(expected)),
      `${along}, ${expected}`,
    );
  } finally {
    await engine.dispose();
  }
});

Deno.test("loss() loads the function that a file exports, and says what it is not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/mine.ts`, "export default (x0) => x0.sum();\n");
    await Deno.writeTextFile(`${folder}/number.ts`, "export default 3;\n");
    const load = (text: string) => choosePlugin("guidance", text, guidances, { folder });
    assert(typeof (await load("loss,file=./mine.ts,scale=2")).loss === "function");
    await assertRejects(() => load("loss"), RangeError, "name a file");
    await assertRejects(() => load("loss,file=./none.ts"), RangeError, "there is no such file");
    await assertRejects(() => load("loss,file=./number.ts"), TypeError, "no function");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
