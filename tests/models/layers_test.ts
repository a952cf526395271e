import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import {
  attention,
  causalBias,
  conv,
  downsample,
  embedding,
  gelu,
  groupNorm,
  layerNorm,
  linear,
  maskBias,
  quickGelu,
  silu,
  timestepEmbedding,
  upsample,
} from "../../models/layers.ts";
import { type Scope, scopeOf } from "../../models/scope.ts";
import { philoxAt } from "../../noise/mod.ts";

/** Normal numbers as a tensor; the same for the same stream. */
function normal<R extends tf.Rank>(shape: number[], stream: number): tf.Tensor<R> {
  const size = shape.reduce((product, side) => product * side, 1);
  const values = philoxAt(7, stream).normal(size);
  return tf.tensor(values, shape as tf.ShapeMap[R]);
}

/** A scope over parameters by name, in the layout that is computed with. */
function over(parameters: Readonly<Record<string, tf.Tensor>>): Scope {
  return scopeOf({
    get({ name, shape }) {
      assertEquals(parameters[name]?.shape, [...shape], name);
      return parameters[name]!;
    },
    has: (name) => name in parameters,
  });
}

function assertNear(actual: tf.Tensor, expected: tf.Tensor, tolerance: number): void {
  assertEquals(actual.shape, expected.shape);
  const [ours, theirs] = [actual.dataSync(), expected.dataSync()];
  const largest = Array.from(theirs).reduce(
    (most, value) => Math.max(most, Math.abs(value)),
    1e-30,
  );
  ours.forEach((value, index) =>
    assertAlmostEquals(value, theirs[index]!, tolerance * largest, `at ${index}`)
  );
}

/** Compares gradients with central differences, in every direction of every input. */
function assertGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  tolerance = 5e-3,
): void {
  const weights = normal(f(...inputs).shape, 99); // so that no two outputs count alike
  const loss = (...inputs: tf.Tensor[]): tf.Scalar => tf.sum(tf.mul(f(...inputs), weights));
  const gradients = tf.grads(loss)(inputs);
  const step = 1e-2;
  inputs.forEach((input, which) => {
    const values = input.dataSync();
    const slopes = Float32Array.from(values, (value, index) => {
      const at = (moved: number) => {
        const copy = values.slice();
        copy[index] = moved;
        const changed = inputs.with(which, tf.tensor(copy, input.shape));
        return loss(...changed).dataSync()[0]!;
      };
      return (at(value + step) - at(value - step)) / (2 * step);
    });
    assertNear(gradients[which]!, tf.tensor(slopes, input.shape), tolerance);
  });
}

function test(name: string, check: () => void): void {
  Deno.test(name, async () => {
    await tf.setBackend("cpu");
    const before = tf.memory().numTensors;
    tf.tidy(check);
    assertEquals(tf.memory().numTensors, before);
  });
}

/** Group normalization as it is written down (Wu and He 2018, equations 1 and 2). */
function textbookNorm(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  groups: number,
  eps: number,
): tf.Tensor {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const grouped = tf.reshape(x, [batch, -1, groups, channels / groups]);
  const mean = tf.mean(grouped, [1, 3], true);
  const centered = tf.sub(grouped, mean);
  const variance = tf.mean(tf.square(centered), [1, 3], true);
  const normed = tf.div(centered, tf.sqrt(tf.add(variance, eps)));
  return tf.add(tf.mul(tf.reshape(normed, x.shape), gamma), beta);
}

for (const [kind, shape] of [["images", [2, 3, 5, 6]], ["tokens", [3, 7, 6]]] as const) {
  for (const groups of [1, 2, 6]) {
    test(`groupNorm() equals the textbook form for ${kind} and ${groups} groups`, () => {
      const x = tf.add(tf.mul(normal([...shape], 1), 3), 2);
      const [weight, bias] = [normal([6], 2), normal([6], 3)];
      const eps = 1e-2;
      const ours = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) =>
        groupNorm(over({ weight, bias }), x, groups, eps);
      const theirs = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) =>
        textbookNorm(x, weight, bias, groups, eps);
      assertNear(ours(x, weight, bias), theirs(x, weight, bias), 1e-5);
      const dy = normal([...shape], 4);
      const [our, their] = [ours, theirs].map((norm) =>
        tf.grads((...inputs) => norm(...inputs as [tf.Tensor, tf.Tensor, tf.Tensor]))(
          [x, weight, bias],
          dy,
        )
      );
      our!.forEach((gradient, index) => assertNear(gradient, their![index]!, 2e-5));
    });
  }
}

test("groupNorm() has the gradients of finite differences", () => {
  assertGradients(
    (x, weight, bias) => groupNorm(over({ weight: weight!, bias: bias! }), x!, 2, 1e-5),
    [normal([2, 2, 2, 4], 1), normal([4], 2), normal([4], 3)],
  );
});

test("groupNorm() of a constant is its bias, not NaN", () => {
  const y = groupNorm(
    over({ weight: tf.ones([4]), bias: tf.tensor1d([1, 2, 3, 4]) }),
    tf.fill([1, 2, 2, 4], 1000.1),
    2,
    1e-6,
  );
  const expected = tf.tile(tf.tensor4d([1, 2, 3, 4], [1, 1, 1, 4]), [1, 2, 2, 1]);
  assertNear(y, expected, 0.05);
});

test("groupNorm() refuses groups that do not divide the channels", () => {
  const scope = over({ weight: tf.ones([6]), bias: tf.zeros([6]) });
  assertThrows(() => groupNorm(scope, tf.zeros([1, 6]), 4, 1e-5), RangeError, "6 channels in 4");
});

test("silu() is x sigmoid(x), with its gradient", () => {
  const x = tf.tensor1d([-100, -3, -0.5, 0, 0.5, 3, 100]);
  assertNear(
    silu(x),
    tf.tensor1d([-100, -3, -0.5, 0, 0.5, 3, 100].map((x) => x / (1 + Math.exp(-x)))),
    1e-6,
  );
  assertGradients((x) => silu(x!), [normal([12], 5)]);
});

test("upsample() repeats pixels, with its gradient for a batch of two", () => {
  const x = tf.tensor4d([1, 2, 3, 4, 5, 6], [1, 1, 3, 2]);
  assertEquals(upsample(x).dataSync().join(), "1,2,1,2,3,4,3,4,5,6,5,6,1,2,1,2,3,4,3,4,5,6,5,6");
  // Against finite differences: tfjs' own gradient is wrong here.
  assertGradients((x) => upsample(x as tf.Tensor4D), [normal([2, 2, 3, 2], 6)]);
});

test("downsample() averages squares of two pixels, with its gradient", () => {
  const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 4, 1]);
  assertEquals([...downsample(x).dataSync()], [(1 + 2 + 5 + 6) / 4, (3 + 4 + 7 + 8) / 4]);
  assertGradients((x) => downsample(x as tf.Tensor4D), [normal([2, 2, 4, 2], 6)]);
});

/** A convolution as nested loops over NHWC and HWIO. */
function loopConv(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  bias: tf.Tensor1D,
  stride: number,
  [before, after]: readonly [number, number],
): tf.Tensor4D {
  const [input, weights] = [x.arraySync(), filter.arraySync()];
  const kernel = weights.length;
  const biases = bias.arraySync();
  const count = (size: number) => Math.floor((size + before + after - kernel) / stride) + 1;
  return tf.tensor4d(
    input.map((image) =>
      Array.from(
        { length: count(image.length) },
        (_, row) =>
          Array.from({ length: count(image[0]!.length) }, (_, column) =>
            biases.map((bias, out) => {
              let sum = bias;
              for (let i = 0; i < kernel; i++) {
                for (let j = 0; j < kernel; j++) {
                  const pixel = image[row * stride + i - before]?.[column * stride + j - before];
                  pixel?.forEach((value, channel) =>
                    sum += value * weights[i]![j]![channel]![out]!
                  );
                }
              }
              return sum;
            })),
      )
    ),
  );
}

for (
  const { size, options, pads } of [
    { size: [4, 6], options: {}, pads: [1, 1] },
    { size: [4, 6], options: { kernel: 1 }, pads: [0, 0] },
    { size: [4, 6], options: { stride: 2 }, pads: [1, 1] },
    { size: [5, 7], options: { stride: 2 }, pads: [1, 1] },
    { size: [4, 5], options: { stride: 2 }, pads: [1, 1] },
    { size: [4, 6], options: { stride: 2, padding: [0, 1] }, pads: [0, 1] },
    { size: [4, 6], options: { stride: 2, padding: [1, 0] }, pads: [1, 0] },
    { size: [5, 6], options: { stride: 2, padding: [0, 1] }, pads: [0, 1] },
    { size: [5, 6], options: { padding: 0 }, pads: [0, 0] },
    { size: [4, 4], options: { padding: [0, 2] }, pads: [0, 2] },
    { size: [4, 4], options: { padding: 2 }, pads: [2, 2] },
    { size: [4, 4], options: { kernel: 1, stride: 2 }, pads: [0, 0] },
    { size: [6, 4], options: { kernel: 5, stride: 2 }, pads: [2, 2] },
  ] as const
) {
  test(`conv() pads ${size.join("x")} as it is told: ${JSON.stringify(options)}`, () => {
    const kernel = "kernel" in options ? options.kernel : 3;
    const stride = "stride" in options ? options.stride : 1;
    const x = normal<tf.Rank.R4>([2, ...size, 3], 1);
    const weight = normal<tf.Rank.R4>([kernel, kernel, 3, 2], 2);
    const bias = normal<tf.Rank.R1>([2], 3);
    const y = conv(over({ weight, bias }), x, 2, options);
    assertNear(y, loopConv(x, weight, bias, stride, pads), 1e-5);
  });
}

test("conv() has the gradients of finite differences", () => {
  for (const options of [{}, { stride: 2 }, { stride: 2, padding: [0, 1] }] as const) {
    assertGradients(
      (x, weight, bias) =>
        conv(over({ weight: weight!, bias: bias! }), x as tf.Tensor4D, 2, options),
      [normal([2, 4, 4, 1], 1), normal([3, 3, 1, 2], 2), normal([2], 3)],
    );
  }
});

test("linear() works on the last axis of any rank, with both layouts of its weight", () => {
  const bias = normal([2], 1);
  const matrix = normal<tf.Rank.R2>([3, 2], 2);
  const x = normal<tf.Rank.R3>([2, 4, 3], 3);
  const expected = tf.add(
    tf.reshape(tf.matMul(tf.reshape(x, [8, 3]), matrix), [2, 4, 2]),
    bias,
  );
  assertNear(linear(over({ weight: matrix, bias }), x, 2), expected, 1e-6);
  const weight = tf.reshape(matrix, [1, 3, 2]);
  assertNear(linear(over({ weight, bias }), x, 2, { pointwise: true }), expected, 1e-6);
});

test("embedding() takes rows of its table, and adds up their gradients", () => {
  const weight = tf.tensor2d([[1, 2], [3, 4], [5, 6]]);
  const index = tf.tensor1d([2, 0, 2], "int32");
  const rows = embedding(over({ weight }), index, 3, 2);
  assertEquals(rows.arraySync(), [[5, 6], [1, 2], [5, 6]]);
  const dy = tf.tensor2d([[1, 10], [2, 20], [3, 30]]);
  const gradient = tf.grad((weight) => embedding(over({ weight }), index, 3, 2))(weight, dy);
  assertEquals(gradient.arraySync(), [[2, 20], [0, 0], [4, 40]]);
});

for (const heads of [1, 2, 4]) {
  test(`attention() lets each of ${heads} heads mix the values of its own channels`, () => {
    const [batch, tokens, others, channels] = [2, 3, 5, 8];
    const query = normal<tf.Rank.R3>([batch, tokens, channels], 1);
    const key = normal<tf.Rank.R3>([batch, others, channels], 2);
    const value = normal<tf.Rank.R3>([batch, others, channels], 3);
    const size = channels / heads;
    const [q, k, v] = [query.arraySync(), key.arraySync(), value.arraySync()];
    const expected = q.map((image, b) =>
      image.map((asking) =>
        Array.from({ length: channels }, (_, channel) => {
          const start = Math.floor(channel / size) * size;
          const scores = k[b]!.map((asked) => {
            let product = 0;
            for (let c = start; c < start + size; c++) product += asking[c]! * asked[c]!;
            return Math.exp(product / Math.sqrt(size));
          });
          const total = scores.reduce((sum, score) => sum + score, 0);
          return scores.reduce((sum, score, token) => sum + score * v[b]![token]![channel]!, 0) /
            total;
        })
      )
    );
    assertNear(attention(query, key, value, heads), tf.tensor3d(expected), 1e-5);
  });
}

test("attention() has the gradients of finite differences", () => {
  assertGradients(
    (...inputs) => attention(...inputs as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D], 2),
    [normal([2, 2, 4], 1), normal([2, 3, 4], 2), normal([2, 3, 4], 3)],
  );
});

test("attention() with causalBias() sees no later token, and with maskBias() no hidden one", () => {
  const [query, key, value] = [1, 2, 3].map((stream) => normal<tf.Rank.R3>([2, 4, 6], stream));
  const mixed = (value: tf.Tensor3D, bias: tf.Tensor3D) => attention(query!, key!, value, 3, bias);
  const last = tf.concat([tf.zeros([2, 3, 6]), tf.ones([2, 1, 6])], 1) as tf.Tensor3D;
  const changed = tf.add<tf.Tensor3D>(value!, last); // the last token of both
  const upTo = (x: tf.Tensor3D) => tf.slice(x, [0, 0, 0], [2, 3, 6]);
  const causal = causalBias(4);
  assertNear(upTo(mixed(changed, causal)), upTo(mixed(value!, causal)), 0);
  const mask = maskBias(tf.tensor2d([[1, 1, 1, 0], [1, 1, 1, 1]]));
  const [before, after] = [mixed(value!, mask), mixed(changed, mask)].map((x) => tf.unstack(x));
  assertNear(after![0]!, before![0]!, 0); // hidden from all heads of the first image
  assertNear(after![1]!, attention(query!, key!, changed, 3).gather(1), 1e-6); // and of no other
});

test("layerNorm() is groupNorm() of tokens by themselves, with its gradients", () => {
  const x = tf.add(tf.mul(normal([2, 3, 6], 1), 3), 2);
  const [weight, bias] = [normal([6], 2), normal([6], 3)];
  const rows = groupNorm(over({ weight, bias }), tf.reshape(x, [6, 1, 6]), 1, 1e-2);
  assertNear(layerNorm(over({ weight, bias }), x, 1e-2), tf.reshape(rows, x.shape), 1e-5);
  assertGradients(
    (x, weight, bias) => layerNorm(over({ weight: weight!, bias: bias! }), x!),
    [normal([2, 4], 1), normal([4], 2), normal([4], 3)],
  );
});

test("gelu() is x times the share of normal numbers below it, quickGelu() is near", () => {
  const x = [-3, -1, 0, 0.5, 2];
  // Phi by its series, to double precision
  const phi = (x: number) => {
    let [term, sum] = [x, x];
    for (let n = 1; n < 60; n++) sum += term *= x * x / (2 * n + 1);
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  };
  const expected = tf.tensor1d(x.map((x) => x * phi(x)));
  assertNear(gelu(tf.tensor1d(x)), expected, 1e-6);
  assertNear(quickGelu(tf.tensor1d(x)), expected, 0.02);
  assertGradients((x) => gelu(x!), [normal([5], 1)]);
});

test("upsample() brings to a size by the nearest pixels", () => {
  const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  const y = upsample(x, [3, 5]).reshape([3, 5]);
  assertNear(y, tf.tensor2d([[1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [3, 3, 3, 4, 4]]), 0);
  assertNear(upsample(x, [4, 4]), upsample(x), 0);
});

test("timestepEmbedding() orders its halves and shifts its rates as it is told", () => {
  const times = [0, 1, 17.5, 999];
  for (const size of [6, 7]) {
    for (const cosineFirst of [false, true]) {
      for (const shift of [0, 1]) {
        const half = Math.floor(size / 2);
        const rows = times.map((t) => {
          const angles = Array.from(
            { length: half },
            (_, index) => t * Math.exp(-Math.log(10000) * index / (half - shift)),
          );
          const [sine, cosine] = [angles.map(Math.sin), angles.map(Math.cos)];
          const pad = size % 2 === 0 ? [] : [0];
          return [...cosineFirst ? [...cosine, ...sine] : [...sine, ...cosine], ...pad];
        });
        const actual = timestepEmbedding(tf.tensor1d(times), size, cosineFirst, shift);
        assertEquals(actual.shape, [times.length, size]);
        assertNear(actual, tf.tensor2d(rows), 1e-4);
      }
    }
  }
  // The first rate is 1 and, with DDPM's shift, the last is exactly 1/10000.
  const [sine] = timestepEmbedding(tf.tensor1d([1]), 4, false, 1).arraySync();
  assertAlmostEquals(sine![0]!, Math.sin(1), 1e-6);
  assertAlmostEquals(sine![1]!, 1e-4, 1e-9);
});
