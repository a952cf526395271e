import { assert, assertAlmostEquals } from "@std/assert";
import * as tf from "tfjs";
import { openEngine } from "../../../engines/mod.ts";
import { decoderLogLikelihood } from "../../../training/objectives/decoder.ts";
import { onCpu } from "../_tiny.ts";

/** The log-probability in doubles, as it is written in OpenAI's code, clipped like there. */
function plain(x: number, mean: number, logVariance: number): number {
  const cdf = (z: number) =>
    0.5 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3)));
  const scale = Math.exp(-0.5 * logVariance);
  const [plus, minus] = [scale * (x - mean + 1 / 255), scale * (x - mean - 1 / 255)];
  const share = x < -0.999 ? cdf(plus) : x > 0.999 ? 1 - cdf(minus) : cdf(plus) - cdf(minus);
  return Math.log(Math.max(share, 1e-12));
}

const PIXELS = Array.from({ length: 256 }, (_, value) => value / 127.5 - 1);

function decoded(pixels: readonly number[], mean: number, logVariance: number): tf.Tensor4D {
  const shape = [1, 1, pixels.length, 1] as [number, number, number, number];
  const whole = (value: number): tf.Tensor4D => tf.fill(shape, value);
  return decoderLogLikelihood(tf.tensor4d([...pixels], shape), whole(mean), whole(logVariance));
}

Deno.test("decoderLogLikelihood() equals its formula in doubles at every pixel and spread", () =>
  onCpu(() => {
    for (const logVariance of [-11, -8, -4, -1, 1]) {
      for (const mean of [-1.2, -1, -0.3, 0, 0.71, 1, 1.4]) {
        tf.tidy(() => {
          decoded(PIXELS, mean, logVariance).dataSync().forEach((log, i) => {
            const expected = plain(PIXELS[i]!, mean, logVariance);
            if (expected < -26) return; // the formula itself cancels there, even in doubles
            const off = Math.abs(log - expected) / Math.max(1, Math.abs(expected));
            assert(off < 2e-5, `${log}, not ${expected}, at ${PIXELS[i]}, ${mean}, ${logVariance}`);
          });
        });
      }
    }
  }));

Deno.test("decoderLogLikelihood() gives all 256 values together the probability 1", () =>
  onCpu(() => {
    for (const [mean, logVariance] of [[0, -3], [-1, -8], [0.998, -6], [3, -2]] as const) {
      tf.tidy(() => {
        const total = tf.sum(tf.exp(decoded(PIXELS, mean, logVariance))).dataSync()[0]!;
        assertAlmostEquals(total, 1, 1e-4);
      });
    }
  }));

Deno.test("decoderLogLikelihood() and its gradient are finite far from the mean", async () => {
  await tf.setBackend("cpu");
  const engine = await openEngine("onnx");
  const computation = (x: tf.Tensor, mean: tf.Tensor, logVariance: tf.Tensor) => {
    const sum = (mean: tf.Tensor, logVariance: tf.Tensor): tf.Scalar =>
      tf.sum(decoderLogLikelihood(
        x as tf.Tensor4D,
        mean as tf.Tensor4D,
        logVariance as tf.Tensor4D,
      ));
    return tf.valueAndGrads(sum)([mean, logVariance]);
  };
  const compiled = engine.compile((_, ...inputs) => {
    const { value, grads } = computation(...inputs as [tf.Tensor, tf.Tensor, tf.Tensor]);
    return [value, ...grads];
  }, new Map());
  try {
    for (const [mean, logVariance] of [[50, -12], [-1e4, 0], [0, -20], [1, 3]] as const) {
      const whole = (value: number) => tf.fill([1, 1, PIXELS.length, 1], value);
      const inputs = [tf.tensor4d(PIXELS, [1, 1, 256, 1]), whole(mean), whole(logVariance)];
      const outputs = await compiled(...inputs);
      for (const output of outputs) {
        assert(output.dataSync().every(Number.isFinite), `${mean}, ${logVariance}`);
      }
      tf.dispose([inputs, outputs]);
    }
  } finally {
    await engine.dispose();
  }
});
