import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { openEngine } from "../../engines/mod.ts";
import { imageNoise, imageSeeds } from "../../noise/mod.ts";
import { guidedPredict, loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import { makePlan } from "../../pipeline/plan.ts";
import { run } from "../../pipeline/run.ts";
import { readFixture } from "../_safetensors.ts";

// What tests/fixtures/digits/make.py drew with.
const [SEED, STEPS, LABELS] = [7, 10, [0, 3, 5, 8]] as const;

/** What `tests/fixtures/digits/make.py` drew, and how. */
const DRAWN = [
  { name: "images", sampler: "ddim", guidance: "cfg,scale=2" },
  { name: "images_ddpm", sampler: "ddpm", guidance: "none" }, // with the learned variance
] as const;

for (const { name, sampler, guidance } of DRAWN) {
  Deno.test(`the bundled digits are those that diffusers draws from the same seed with ${sampler}`, async () => {
    const expected = readFixture("digits/expected.safetensors");
    const model = openModel("digits");
    const engine = await openEngine("onnx");
    try {
      const plan = await makePlan(model, {
        sampler,
        steps: STEPS,
        guidance: [guidance],
        spacing: "trailing",
      });
      const noise = imageNoise("torch", imageSeeds(SEED, LABELS.length), [32, 32, 1]);
      const images = await run({
        sampler: plan.sampler,
        path: plan.levels,
        predict: guidedPredict(
          loadDenoiser(model, engine),
          { network: Int32Array.from(LABELS) },
          plan.guidances,
          false,
        ),
        noise,
      });
      // One channel: the order of NCHW and NHWC is the same.
      const drawn = Array.from(await images.data());
      const { data } = expected(name);
      assertEquals(drawn.length, data.length);
      const worst = drawn.reduce((most, value, i) => Math.max(most, Math.abs(value - data[i]!)), 0);
      assert(worst <= 1e-3, `differs by ${worst}`);
      images.dispose();
    } finally {
      await engine.dispose();
    }
  });
}

Deno.test("the bundled classifier reads the bundled digits", async () => {
  const model = openModel("digits");
  const classifier = model.classifier;
  assert(classifier !== undefined);
  const engine = await openEngine("onnx");
  try {
    const { encoderUNet } = await import("../../models/encoder_unet.ts");
    const read = engine.compile(
      (scope, x, t) => [
        encoderUNet(scope, classifier.config, x as tf.Tensor4D, t as tf.Tensor1D),
      ],
      classifier.weights,
    );
    const { data, shape } = readFixture("digits/expected.safetensors")("images");
    const images = tf.tensor4d(Float32Array.from(data), [shape[0] ?? 0, 32, 32, 1]);
    const [logits] = await read(images, tf.zeros([LABELS.length]));
    assert(logits !== undefined);
    assertEquals([...await tf.argMax(logits, 1).data()], [...LABELS]);
  } finally {
    await engine.dispose();
  }
});
