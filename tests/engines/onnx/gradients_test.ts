import * as tf from "tfjs";
import { asMap, assertClose, type Case, compare, normal, uniform, withEngine } from "./_compare.ts";
import { attention, groupNorm, silu, upsample } from "../../../models/layers.ts";
import { scopeOf } from "../../../models/scope.ts";

type Function = (...inputs: tf.Tensor[]) => tf.Tensor;

/** The gradients of a function's outputs, weighted at random, by all its inputs. */
const gradients = (run: Function) => (...inputs: tf.Tensor[]): tf.Tensor[] =>
  tf.grads((...inputs) => {
    const y = run(...inputs);
    return tf.sum(tf.mul(y, tf.randomNormal(y.shape, 0, 1, "float32", 77)));
  })(inputs);

const gradient = (name: string, run: Function, inputs = normal([3, 4])): Case => ({
  name: `gradient of ${name}`,
  run: gradients(run),
  inputs,
});

const positive = uniform(0.2, 2, [3, 4]);
const mask = () => tf.greater(tf.randomNormal([3, 4], 0, 1, "float32", 8), 0);
const MAP = [2, 4, 6, 4];
const fixed = (shape: [number, number, number, number]) =>
  tf.randomNormal<tf.Rank.R4>(shape, 0, 1, "float32", 5);

const conv = (
  name: string,
  stride: number,
  pad: "same" | "valid" | tf.backend_util.ExplicitPadding,
  filter: number[],
): Case =>
  gradient(
    `convolution, ${name}`,
    (x, filter) => tf.conv2d(asMap(x), asMap(filter), stride, pad),
    normal([2, 6, 7, 3], filter),
  );

/** A scope whose parameters are fixed random numbers. */
const scope = () =>
  scopeOf({
    get: ({ shape }) => tf.randomNormal([...shape], 0, 1, "float32", 3),
    has: (_, otherwise) => otherwise,
  });

const CASES: readonly Case[] = [
  gradient("add", (a, b) => tf.add(a, b), normal([3, 4], [4])),
  gradient("sub", (a, b) => tf.sub(a, b), normal([3, 1], [2, 3, 4])),
  gradient("mul", (a, b) => tf.mul(a, b), normal([3, 4], [3, 1])),
  gradient("div", (a, b) => tf.div(a, b), uniform(0.5, 2, [3, 4], [4])),
  gradient("pow", (a) => tf.pow(a, 3), positive),
  gradient("square", (a) => tf.square(a)),
  gradient("sqrt", (a) => tf.sqrt(a), positive),
  gradient("rsqrt", (a) => tf.rsqrt(a), positive),
  gradient("exp", (a) => tf.exp(a)),
  gradient("log", (a) => tf.log(a), positive),
  gradient("abs", (a) => tf.abs(a)),
  gradient("sin", (a) => tf.sin(a)),
  gradient("cos", (a) => tf.cos(a)),
  gradient("tanh", (a) => tf.tanh(a)),
  gradient("sigmoid", (a) => tf.sigmoid(a)),
  gradient("softplus", (a) => tf.softplus(a)),
  gradient("erf", (a) => tf.erf(a)),
  gradient("relu", (a) => tf.relu(a)),
  gradient("elu", (a) => tf.elu(a)),
  gradient("leakyRelu", (a) => tf.leakyRelu(a, 0.1)),
  gradient("maximum", (a, b) => tf.maximum(a, b), normal([3, 4], [3, 4])),
  gradient("minimum", (a, b) => tf.minimum(a, b), normal([3, 4], [3, 4])),
  gradient("clip", (a) => tf.clipByValue(a, -0.5, 0.5)),
  gradient("squaredDifference", (a, b) => tf.squaredDifference(a, b), normal([3, 4], [3, 4])),
  gradient("where", (a, b) => tf.where(mask(), a, b), normal([3, 4], [3, 4])),
  gradient("sum", (a) => tf.sum(a, 0)),
  gradient("mean", (a) => tf.mean(a, 1, true)),
  gradient("max", (a) => tf.max(a, 1)),
  gradient("moments", (a) => tf.moments(a, 1).variance),
  gradient("softmax", (a) => tf.softmax(a)),
  gradient("logSoftmax", (a) => tf.logSoftmax(a)),
  gradient("logSumExp", (a) => tf.logSumExp(a, 1)),
  gradient("cumsum", (a) => tf.cumsum(a, 1)),
  gradient("matMul", (a, b) => tf.matMul(a, b), normal([3, 4], [4, 5])),
  gradient("transposed matMul", (a, b) => tf.matMul(a, b, true, true), normal([4, 3], [5, 4])),
  gradient("batches", (a, b) => tf.matMul(a, b, false, true), normal([2, 3, 4], [2, 5, 4])),
  gradient("reshape, transpose", (a) => tf.transpose(tf.reshape(a, [2, 2, 3]), [1, 2, 0])),
  gradient("concat", (a, b) => tf.concat([a, b, a], 1), normal([3, 4], [3, 2])),
  gradient("stack", (a, b) => tf.stack([a, b], 1), normal([3, 4], [3, 4])),
  gradient("split", (a) => tf.sub(...(tf.split(a, 2, 1) as [tf.Tensor, tf.Tensor]))),
  gradient("slice", (a) => tf.slice(a, [1, 1], [2, 2])),
  gradient("pad", (a) => tf.pad(a, [[1, 0], [0, 2]])),
  gradient("tile", (a) => tf.tile(a, [2, 3])),
  gradient("gather", (a) => tf.gather(a, tf.tensor1d([2, 0, 2], "int32"))),
  conv("same", 1, "same", [3, 3, 3, 4]),
  conv("valid", 1, "valid", [3, 2, 3, 4]),
  conv("pointwise", 1, "valid", [1, 1, 3, 4]),
  conv("even filter", 1, "same", [2, 4, 3, 4]),
  conv("strided", 2, "same", [3, 3, 3, 4]),
  conv("strided and padded", 2, [[0, 0], [0, 1], [0, 1], [0, 0]], [3, 3, 3, 4]),
  gradient(
    "depthwise convolution",
    (x) => tf.depthwiseConv2d(asMap(x), fixed([3, 3, 4, 1]), 2, "same"),
    normal(MAP),
  ),
  gradient("avgPool", (x) => tf.avgPool(asMap(x), 2, 2, "valid"), normal(MAP)),
  gradient("avgPool, overlapping", (x) => tf.avgPool(asMap(x), 3, 1, "valid"), normal(MAP)),
  gradient("bilinear", (x) => tf.image.resizeBilinear(asMap(x), [7, 9]), normal([1, 4, 4, 4])),
  gradient(
    "nearest",
    (x) => tf.image.resizeNearestNeighbor(asMap(x), [8, 12]),
    normal([1, 4, 6, 4]),
  ),
  gradient(
    "nearest, odd",
    (x) => tf.image.resizeNearestNeighbor(asMap(x), [7, 9]),
    normal([1, 4, 6, 4]),
  ),
  gradient("groupNorm", (x) => groupNorm(scope(), x, 2, 1e-5), normal(MAP)),
  gradient("silu", silu),
  gradient("upsample", (x) => upsample(asMap(x)), normal(MAP)),
  gradient(
    "attention",
    (q, k, v) => attention(q.as3D(2, 5, 4), k.as3D(2, 3, 4), v.as3D(2, 3, 4), 2),
    normal([2, 5, 4], [2, 3, 4], [2, 3, 4]),
  ),
  gradient("convolutions", (x) => {
    const first = silu(
      groupNorm(scope(), tf.conv2d(asMap(x), fixed([3, 3, 4, 8]), 1, "same"), 2, 1e-5),
    );
    const next = tf.conv2d(asMap(first), fixed([3, 3, 8, 4]), 2, "same");
    return tf.concat([upsample(asMap(next)), x], 3);
  }, normal(MAP)),
];

Deno.test("onnx engine agrees with cpu on gradients", () =>
  withEngine(async (engine) => {
    for (const each of CASES) await compare(engine, { ...each, tolerance: 3e-5 });
  }));

Deno.test("onnx engine agrees with differences on the gradient of nearest resizing", () =>
  withEngine(async (engine) => {
    const weights = fixed([2, 6, 6, 1]);
    const run = (x: tf.Tensor) =>
      tf.sum(tf.mul(tf.image.resizeNearestNeighbor(asMap(x), [6, 6]), weights));
    for (const size of [3, 4]) {
      const x = tf.randomNormal([2, size, size, 1]);
      const [actual] = await engine.compile((_, x) => [tf.grad(run)(x)], new Map())(x);
      const basis = tf.reshape(tf.eye(2 * size * size), [-1, 2, size, size, 1]);
      const slopes = tf.unstack(basis).map((unit) => tf.sub(run(tf.add(x, unit)), run(x))); // linear
      assertClose(actual ?? tf.scalar(NaN), tf.reshape(tf.stack(slopes), x.shape), 1e-4);
    }
  }));

Deno.test("onnx engine computes tf.variableGrads", () =>
  withEngine(async (engine) => {
    const run = (x: tf.Tensor, start: tf.Tensor) => {
      const w = tf.variable(start);
      const { value, grads } = tf.variableGrads(() =>
        tf.sum(tf.square(tf.matMul(asMatrix(x), asMatrix(w))))
      );
      return [value, ...Object.values(grads)];
    };
    const [x, w] = normal([3, 4], [4, 2])();
    if (x === undefined || w === undefined) throw new Error("no inputs");
    const [value, slope] = await engine.compile((_, x, w) => x && w ? run(x, w) : [], new Map())(
      x,
      w,
    );
    const product = tf.matMul(asMatrix(x), asMatrix(w));
    assertClose(value ?? tf.scalar(NaN), tf.sum(tf.square(product)), 1e-5);
    assertClose(slope ?? tf.scalar(NaN), tf.mul(tf.matMul(asMatrix(x), product, true), 2), 1e-5);
  }));

const asMatrix = (x: tf.Tensor): tf.Tensor2D => x.as2D(x.shape[0] ?? 1, x.shape[1] ?? 1);
