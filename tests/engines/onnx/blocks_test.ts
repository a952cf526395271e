import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Computation } from "../../../engines/engine.ts";
import { onnxEngine } from "../../../engines/onnx.ts";
import { packModel } from "../../../engines/onnx/package.ts";
import { checkpointEdges } from "../../../engines/onnx/parameters.ts";
import { traceComputation } from "../../../engines/onnx/trace.ts";
import { conv, linear, upsample } from "../../../models/layers.ts";
import { encodeSafetensors, readSafetensors } from "../../../models/safetensors.ts";
import type { Weights } from "../../../models/weights.ts";
import { noiseStream } from "../../../noise/mod.ts";
import { weightsInBlocks } from "../../../quantization/blocks.ts";
import { asMap, quiet } from "./_compare.ts";

await tf.setBackend("cpu");
quiet();

const CHANNELS = 32; // so many, and so large an image, that the engine would take Winograd's form

/** Convolutions at stride 1 and 2, of a doubled image and of one pixel, and a linear layer. */
const network: Computation = (scope, x) => {
  const y = conv(scope.at("a"), asMap(x as tf.Tensor), CHANNELS);
  const small = conv(scope.at("b"), y, CHANNELS, { stride: 2, padding: 1 });
  const large = conv(scope.at("c"), upsample(small), CHANNELS);
  const last = conv(scope.at("d"), large, CHANNELS, { kernel: 1 });
  return [last, linear(scope.at("e"), tf.reshape(last, [-1, CHANNELS]), 5)];
};

const FILTERS = { a: 3, b: 3, c: 3, d: 1 };

/** Runs with the network's weights, in half precision in a file. */
async function withWeights(run: (weights: Weights) => Promise<void>): Promise<void> {
  const stream = noiseStream("philox", 9);
  const tensors = new Map([
    ...Object.entries(FILTERS).flatMap(([name, size]) => {
      const shape = [CHANNELS, CHANNELS, size, size];
      const values = stream.normal(CHANNELS ** 2 * size ** 2).map((value) => value / 10);
      const bias = { shape: [CHANNELS], values: stream.normal(CHANNELS) };
      return [[`${name}.weight`, { shape, values }], [`${name}.bias`, bias]] as const;
    }),
    ["e.weight", { shape: [5, CHANNELS], values: stream.normal(5 * CHANNELS) }] as const,
    ["e.bias", { shape: [5], values: stream.normal(5) }] as const,
  ]);
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, encodeSafetensors(tensors, "F16"));
    await run(readSafetensors(path).tensors);
  } finally {
    await Deno.remove(path);
  }
}

const input = () =>
  tf.tensor4d(noiseStream("philox", 1).normal(256 * CHANNELS), [1, 16, 16, CHANNELS]);

Deno.test("weights in blocks compute what their values compute", () =>
  withWeights(async (weights) => {
    const engine = await onnxEngine({ threads: 1 });
    try {
      for (const bits of [8, 4] as const) {
        const held = weightsInBlocks(weights, bits);
        const rounded: Weights = new Map([...held].map(([name, { shape, read }]) => {
          const values = read();
          return [name, { name, shape, dtype: "F32", read: () => values }];
        }));
        const run = engine.compile(network, held);
        const answers = await run(input());
        assertEquals((await run(input()))[0]?.dataSync(), answers[0]?.dataSync()); // still there
        const expected = await engine.compile(network, rounded)(input());
        const exact = await engine.compile(network, weights)(input());
        for (const [i, y] of answers.entries()) {
          const [actual, right, full] = [y, expected[i], exact[i]].map((y) => [
            ...y?.dataSync() ?? [],
          ]);
          const size = Math.max(...right?.map(Math.abs) ?? []);
          const off = (other: number[] = []) =>
            Math.max(...actual?.map((value, j) => Math.abs(value - (other[j] ?? NaN))) ?? []) /
            size;
          assert(off(right) < 1e-5, `${bits} bits, output ${i}: ${off(right)}`);
          assert(off(full) > 1e-3, `${bits} bits, output ${i} is not in blocks`);
        }
      }
    } finally {
      await engine.dispose();
    }
  }));

Deno.test("a package holds blocks and not float32, and reads each tensor once", () =>
  withWeights((weights) => {
    const reads = new Map<string, number>();
    const counted: Weights = new Map([...weights].map(([name, tensor]) => {
      const read = () => {
        reads.set(name, (reads.get(name) ?? 0) + 1);
        return tensor.read();
      };
      return [name, { ...tensor, read }];
    }));
    const values = (3 * 9 + 1) * CHANNELS ** 2 + 5 * CHANNELS;
    for (const bits of [8, 4] as const) {
      reads.clear();
      const source = checkpointEdges(weightsInBlocks(counted, bits), true);
      const { model } = traceComputation(network, source, [[1, 16, 16, CHANNELS]], "runtime");
      assertEquals(reads.size, 0); // a graph is not its weights
      const { blobs, model: graph } = packModel(model);
      assertEquals(
        [...reads].sort(),
        ["a", "b", "c", "d", "e"].map((name) => [`${name}.weight`, 1]),
      );
      const held = blobs.reduce(
        (sum, { data }) => sum + data.findLastIndex((byte) => byte !== 0),
        0,
      );
      assert(held + graph.length < values * (bits / 8 + 4 / 32) + 10_000, `${held}`);
    }
    return Promise.resolve();
  }));
