/**
 * ADM at 64 and 256 pixels with its classifiers, of random weights, against guided-diffusion: some
 * 4.5 GB that `tests/fixtures/openai-superres/make.py adm FOLDER` makes. Runs where DENOISE_ADM
 * names the folder.
 *
 * @module
 */
import { assert } from "@std/assert";
import * as tf from "tfjs";
import { openEngine } from "../../engines/mod.ts";
import { readSafetensors } from "../../models/safetensors.ts";
import { loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";

const folder = Deno.env.get("DENOISE_ADM");

/** The largest difference as a share of the largest value. */
async function differenceOf(actual: tf.Tensor, expected: Float32Array): Promise<number> {
  const planes = tf.tidy(() => tf.transpose(actual, [0, 3, 1, 2]));
  const values = await planes.data();
  planes.dispose();
  let [largest, difference] = [0, 0];
  for (const [index, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(value - (values[index] ?? NaN)));
  }
  return difference / largest;
}

for (const edge of [64, 256]) {
  Deno.test({
    name: `OpenAI's files of ADM ${edge}x${edge} give what guided-diffusion gives`,
    ignore: folder === undefined,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { tensors } = readSafetensors(`${folder}/${edge}x${edge}.safetensors`);
      const read = (name: string) => tensors.get(name)!.read();
      const model = openModel(`${folder}/${edge}x${edge}_diffusion.pt`, {
        classifier: `${folder}/${edge}x${edge}_classifier.pt`,
      });
      const engine = await openEngine("onnx");
      const { network, gradient } = loadDenoiser(model, engine);
      const x = tf.tidy(() =>
        tf.transpose(tf.tensor4d(read("x"), [1, 3, edge, edge]), [0, 2, 3, 1])
      );
      const inputs = [x, tf.tensor1d(read("t")), tf.tensor1d([207], "int32")];
      for (const [name, compute] of [["out", network], ["grad_x", gradient!]] as const) {
        const started = performance.now();
        const [answer] = await compute(...inputs);
        const difference = await differenceOf(answer!, read(name));
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        // deno-lint-ignore no-console -- the figures that it is run for
        console.log(`${edge} ${name}: ${difference} in ${seconds} s`);
        assert(difference < 1e-3, `${name} differs by ${difference}`);
      }
      await engine.dispose();
    },
  });
}
