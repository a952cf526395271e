import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Computation, Engine, LayerValues } from "../../../engines/engine.ts";
import { onnxEngine } from "../../../engines/onnx.ts";
import { conv, linear, upsample } from "../../../models/layers.ts";
import { encodeSafetensors, readSafetensors } from "../../../models/safetensors.ts";
import type { Weights } from "../../../models/weights.ts";
import { noiseStream } from "../../../noise/mod.ts";
import { affineOf, byteWeights, stepOf } from "../../../quantization/bytes.ts";
import type { LayerScales, Range } from "../../../quantization/scales.ts";
import { asMap, quiet } from "./_compare.ts";

await tf.setBackend("cpu");
quiet();

/** Runs where the processor's sums of bytes are exact; elsewhere they are clipped on the way. */
function check(name: string, run: (engine: Engine) => Promise<void>): void {
  Deno.test(name, async () => {
    const engine = await onnxEngine({ threads: 1 });
    const before = tf.memory().numTensors;
    tf.engine().startScope("test");
    try {
      if (await engine.bytes?.exact()) await run(engine);
    } finally {
      tf.engine().endScope();
      await engine.dispose();
    }
    assertEquals(tf.memory().numTensors, before);
  });
}

/** Numbers near the bytes of a range, none half-way between two. */
function near(range: Range, count: number, seed: number): Float32Array {
  const { scale, zero } = affineOf(range);
  const uniform = noiseStream("philox", seed).normal(2 * count);
  return Float32Array.from({ length: count }, (_, i) => {
    const byte = Math.round(Math.min(290, Math.max(-40, 128 + 90 * (uniform[i] ?? 0))));
    return scale * (byte - zero + 0.4 * Math.sin(uniform[count + i] ?? 0));
  });
}

const toByte = (value: number, scale: number, zero: number) =>
  Math.min(255, Math.max(0, Math.round(value / scale) + zero)) - zero;

interface Layer {
  readonly weight: Float32Array; // [out, in, size, size]
  readonly bias: Float32Array;
  readonly weights: Weights;
}

function layer(name: string, out: number, channels: number, size: number): Layer {
  const stream = noiseStream("philox", 9);
  const weight = stream.normal(out * channels * size * size).map((value, i) => value * (1 + i % 5) // rows of different sizes
  );
  const bias = stream.normal(out);
  const shape = size === 0 ? [out, channels] : [out, channels, size, size];
  return {
    weight,
    bias,
    weights: new Map([
      [`${name}.weight`, { name: `${name}.weight`, shape, dtype: "F32", read: () => weight }],
      [`${name}.bias`, { name: `${name}.bias`, shape: [out], dtype: "F32", read: () => bias }],
    ]),
  };
}

/** A convolution of bytes, directly and in doubles; x and the answer are `[height, width, channel]`. */
function direct(
  x: (row: number, column: number, channel: number) => number,
  { weight, bias }: Layer,
  scales: LayerScales,
  form: {
    readonly from: number;
    readonly to: number;
    readonly channels: number;
    readonly size: number;
    readonly stride: number;
    readonly before: number;
  },
): number[] {
  const { from, to, channels, size, stride, before } = form;
  const split = scales.input.length > 1;
  const affineAt = (channel: number) => {
    const part = Math.floor(channel / channels * scales.input.length);
    const [low, high] = scales.input[part] ?? [0, 0];
    return split
      ? { scale: stepOf(Math.max(-low, high)), zero: 128 }
      : affineOf(scales.input[0] ?? [0, 0]);
  };
  const out = bias.length;
  const folded = weight.map((value, i) => {
    const channel = Math.floor(i / size / size) % channels;
    return split ? value * affineAt(channel).scale : value;
  });
  const { bytes, steps } = byteWeights(folded, out);
  const answer: number[] = [];
  for (let row = 0; row < to; row++) {
    for (let column = 0; column < to; column++) {
      for (let o = 0; o < out; o++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) {
          const { scale, zero } = affineAt(c);
          for (let i = 0; i < size; i++) {
            for (let j = 0; j < size; j++) {
              const [r, k] = [row * stride + i - before, column * stride + j - before];
              if (r < 0 || k < 0 || r >= from || k >= from) continue;
              const byte = bytes[((o * channels + c) * size + i) * size + j] ?? 0;
              sum += toByte(x(r, k, c), scale, zero) * byte;
            }
          }
        }
        const scale = split ? 1 : affineAt(0).scale;
        const value = sum * scale * (steps[o] ?? 0) + (bias[o] ?? 0) +
          (scales.correction?.[o] ?? 0);
        const step = stepOf(scales.output?.[o] ?? 0);
        answer.push(step * Math.min(127, Math.max(-128, Math.round(value / step))));
      }
    }
  }
  return answer;
}

/** Almost all bytes are the same, and none is off by more than one. */
function assertBytes(actual: ArrayLike<number>, expected: number[], steps: readonly number[]) {
  let same = 0;
  assertEquals(actual.length, expected.length);
  expected.forEach((value, i) => {
    const step = steps[i % steps.length] ?? 0;
    const off = Math.abs((actual[i] ?? NaN) - value) / step;
    assert(off < 1.001, `${i}: ${actual[i]} for ${value}, ${off} steps`);
    if (off < 1e-3) same++;
  });
  assert(same > 0.98 * expected.length, `${same} of ${expected.length} are the same`);
}

const RANGE: Range = [-0.3, 2];
const [FROM, CHANNELS, OUT] = [6, 4, 5];
const OUTPUT = [9, 14, 20, 26, 8];

const image = (values: Float32Array) => tf.tensor4d(values, [1, FROM, FROM, CHANNELS]);

check("a convolution in bytes is what a sum over bytes is", async (engine) => {
  const values = near(RANGE, FROM * FROM * CHANNELS, 1);
  const at = (row: number, column: number, channel: number) =>
    values[(row * FROM + column) * CHANNELS + channel] ?? 0;
  const made = layer("a", OUT, CHANNELS, 3);
  for (
    const { options, to, stride, before, output, correction } of [
      { options: {}, to: 6, stride: 1, before: 1, output: OUTPUT, correction: [1, -1, 2, 0, 0.5] },
      {
        options: { stride: 2, padding: [0, 1] },
        to: 3,
        stride: 2,
        before: 0,
        output: OUTPUT,
        correction: undefined,
      },
      {
        options: { stride: 2, padding: 1 },
        to: 3,
        stride: 2,
        before: 1,
        output: OUTPUT,
        correction: undefined,
      },
    ] as const
  ) {
    const scales: LayerScales = { input: [RANGE], output, correction };
    const network: Computation = (scope, x) => [
      conv(scope.at("a"), asMap(x as tf.Tensor), OUT, options),
    ];
    const [y] = await engine.compile(network, made.weights, new Map([["a", scales]]))(
      image(values),
    );
    const expected = direct(at, made, scales, {
      from: FROM,
      to,
      channels: CHANNELS,
      size: 3,
      stride,
      before,
    });
    assertBytes(y?.dataSync() ?? [], expected, output.map(stepOf));
  }
});

check("bytes of a doubled image are those of the image, doubled", async (engine) => {
  const values = near(RANGE, FROM * FROM * CHANNELS, 2);
  const made = layer("a", OUT, CHANNELS, 3);
  const scales: LayerScales = { input: [RANGE], output: OUTPUT };
  const network: Computation = (scope, x) => [
    conv(scope.at("a"), upsample(asMap(x as tf.Tensor)), OUT),
  ];
  const [y] = await engine.compile(network, made.weights, new Map([["a", scales]]))(image(values));
  const expected = direct(
    (row, column, channel) => values[((row >> 1) * FROM + (column >> 1)) * CHANNELS + channel] ?? 0,
    made,
    scales,
    { from: 2 * FROM, to: 2 * FROM, channels: CHANNELS, size: 3, stride: 1, before: 1 },
  );
  assertBytes(y?.dataSync() ?? [], expected, OUTPUT.map(stepOf));
});

check("parts that are concatenated have ranges of their own in one convolution", async (engine) => {
  const [narrow, wide]: Range[] = [[-1, 1], [-40, 40]];
  const symmetric = (range: Range, seed: number) =>
    near(range, FROM * FROM * CHANNELS, seed).map((value) => Math.fround(value));
  const parts = [symmetric(narrow ?? RANGE, 3), symmetric(wide ?? RANGE, 4)];
  const made = layer("a", OUT, 2 * CHANNELS, 3);
  const output = [200, 300, 500, 700, 200];
  const scales: LayerScales = { input: [narrow ?? RANGE, wide ?? RANGE], output };
  const network: Computation = (scope, a, b) => [
    conv(scope.at("a"), tf.concat([a as tf.Tensor4D, b as tf.Tensor4D], 3), OUT),
  ];
  const run = engine.compile(network, made.weights, new Map([["a", scales]]));
  const [y] = await run(...parts.map(image));
  const expected = direct(
    (row, column, channel) =>
      parts[channel < CHANNELS ? 0 : 1]
        ?.[(row * FROM + column) * CHANNELS + channel % CHANNELS] ?? 0,
    made,
    scales,
    { from: FROM, to: FROM, channels: 2 * CHANNELS, size: 3, stride: 1, before: 1 },
  );
  assertBytes(y?.dataSync() ?? [], expected, output.map(stepOf));
});

check("a product in bytes is what a sum over bytes is, in float32", async (engine) => {
  const [rows, size, out] = [7, 8, 5];
  const values = near(RANGE, rows * size, 5);
  const stream = noiseStream("philox", 6);
  const [weight, bias] = [stream.normal(out * size), stream.normal(out)];
  const tensor = (name: string, shape: number[], values: Float32Array) =>
    [name, { name, shape, dtype: "F32", read: () => values }] as const;
  const weights: Weights = new Map([
    tensor("a.weight", [out, size], weight),
    tensor("a.bias", [out], bias),
  ]);
  const correction = [1, 0, -2, 0, 3];
  const network: Computation = (scope, x) => [linear(scope.at("a"), x as tf.Tensor2D, out)];
  const [y] = await engine.compile(
    network,
    weights,
    new Map([["a", { input: [RANGE], correction }]]),
  )(tf.tensor2d(values, [rows, size]));
  const { scale, zero } = affineOf(RANGE);
  const { bytes, steps } = byteWeights(weight, out);
  y?.dataSync().forEach((value, i) => {
    const [row, o] = [Math.floor(i / out), i % out];
    let sum = 0;
    for (let k = 0; k < size; k++) {
      sum += toByte(values[row * size + k] ?? 0, scale, zero) * (bytes[o * size + k] ?? 0);
    }
    const expected = sum * scale * (steps[o] ?? 0) + (bias[o] ?? 0) + (correction[o] ?? 0);
    assertAlmostEquals(value, expected, 1e-4);
  });
});

check(
  "weights in half precision and in a file are those that they are in memory",
  async (engine) => {
    const { weight, bias } = layer("a", OUT, CHANNELS, 3);
    const path = await Deno.makeTempFile();
    try {
      const tensors = new Map([
        ["a.weight", { shape: [OUT, CHANNELS, 3, 3], values: weight }],
        ["a.bias", { shape: [OUT], values: bias }],
        ["b.weight", { shape: [OUT, OUT, 1], values: weight.slice(0, OUT * OUT) }],
        ["b.bias", { shape: [OUT], values: bias }],
      ]);
      await Deno.writeFile(path, encodeSafetensors(tensors, "F16"));
      const halves = readSafetensors(path).tensors;
      const singles: Weights = new Map([...halves].map(([name, { shape, read }]) => {
        const values = read();
        return [name, { name, shape, dtype: "F32", read: () => values }];
      }));
      const network: Computation = (scope, x) => {
        const y = conv(scope.at("a"), asMap(x as tf.Tensor), OUT);
        const rows = tf.reshape(y, [FROM * FROM, OUT]);
        return [y, linear(scope.at("b"), rows, OUT, { pointwise: true })];
      };
      const scales = new Map([
        ["a", { input: [RANGE], output: OUTPUT }],
        ["b", { input: [[-20, 20] as const] }],
      ]);
      const x = image(near(RANGE, FROM * FROM * CHANNELS, 7));
      const answers = await Promise.all(
        [halves, singles].map((weights) => engine.compile(network, weights, scales)(x)),
      );
      const [left, right] = answers.map((tensors) => tensors.map((y) => [...y.dataSync()]));
      assertEquals(left, right);
      const [plain] = await engine.compile(network, halves)(x);
      assert(plain?.dataSync().some((value, i) => value !== left?.[0]?.[i])); // it was in bytes
    } finally {
      await Deno.remove(path);
    }
  },
);

check("layers that are watched tell what they take and give", async (engine) => {
  const made = layer("a", OUT, 2 * CHANNELS, 3);
  const parts = [1, 2].map((seed) => image(near(RANGE, FROM * FROM * CHANNELS, seed)));
  const network: Computation = (scope, a, b) => [
    conv(scope.at("a"), tf.concat([a as tf.Tensor4D, b as tf.Tensor4D], 3), OUT),
  ];
  let seen: readonly LayerValues[] = [];
  const run = engine.bytes?.watch(network, made.weights, (layers) => seen = layers);
  const [y] = await run?.(...parts) ?? [];
  assertEquals(seen.map(({ layer, kind }) => [layer, kind]), [["a", "convolution"]]);
  const [first] = seen;
  const channelsFirst = (x: tf.Tensor | undefined) => [
    ...tf.transpose(x ?? tf.zeros([1, 1, 1, 1]), [0, 3, 1, 2]).dataSync(),
  ];
  assertEquals(first?.parts.map(({ values }) => [...values]), parts.map(channelsFirst));
  assertEquals(first?.parts.map(({ channels, inner }) => [channels, inner]), [[4, 36], [4, 36]]);
  assertEquals([...first?.output.values ?? []], channelsFirst(y));
});

Deno.test({
  name: "the engine knows whether the processor multiplies bytes, as the processor's flags say",
  ignore: Deno.build.os !== "linux" || Deno.build.arch !== "x86_64",
  async fn() {
    const flags = await Deno.readTextFile("/proc/cpuinfo");
    const engine = await onnxEngine({ threads: 1 });
    try {
      assertEquals(await engine.bytes?.exact(), /\bavx(512)?_vnni\b/.test(flags));
    } finally {
      await engine.dispose();
    }
  },
});
