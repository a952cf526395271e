import * as tf from "tfjs";
import { asMap, type Case, compare, integers, normal, uniform, withEngine } from "./_compare.ts";

/** Registers one test that compares all cases of a family. */
function family(name: string, cases: readonly Case[]): void {
  Deno.test(`onnx engine agrees with cpu on ${name}`, () =>
    withEngine(async (engine) => {
      for (const each of cases) await compare(engine, each);
    }));
}

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

const MAP = [2, 4, 6, 3]; // a small feature map

const unary = (name: string, run: Unary, inputs = normal([3, 5])): Case => ({ name, run, inputs });
const binary = (name: string, run: Binary, inputs = normal([2, 3, 4], [3, 1])): Case => ({
  name,
  run,
  inputs,
});

family("functions of one value", [
  unary("abs", tf.abs),
  unary("neg", tf.neg),
  unary("sign", tf.sign),
  unary("ceil", tf.ceil),
  unary("floor", tf.floor),
  unary("round", tf.round),
  unary("exp", tf.exp),
  unary("expm1", tf.expm1),
  unary("log", tf.log, uniform(0.1, 3, [3, 5])),
  unary("log1p", tf.log1p, uniform(0.1, 3, [3, 5])),
  unary("sqrt", tf.sqrt, uniform(0.1, 3, [3, 5])),
  unary("rsqrt", tf.rsqrt, uniform(0.1, 3, [3, 5])),
  unary("reciprocal", tf.reciprocal, uniform(0.1, 3, [3, 5])),
  unary("square", tf.square),
  unary("sin", tf.sin),
  unary("cos", tf.cos),
  unary("tan", tf.tan),
  unary("asin", tf.asin, uniform(-1, 1, [3, 5])),
  unary("acos", tf.acos, uniform(-1, 1, [3, 5])),
  unary("atan", tf.atan),
  unary("sinh", tf.sinh),
  unary("cosh", tf.cosh),
  unary("tanh", tf.tanh),
  unary("asinh", tf.asinh),
  unary("acosh", tf.acosh, uniform(1.1, 3, [3, 5])),
  unary("atanh", tf.atanh, uniform(-0.9, 0.9, [3, 5])),
  unary("erf", tf.erf),
  unary("sigmoid", tf.sigmoid),
  unary("softplus", tf.softplus),
  unary("relu", tf.relu),
  unary("relu6", (x) => tf.relu6(tf.mul(x, 5))),
  unary("elu", tf.elu),
  unary("selu", tf.selu),
  unary("leakyRelu", (x) => tf.leakyRelu(x, 0.3)),
  unary("prelu", (x) => tf.prelu(x, tf.scalar(0.4))),
  unary("step", (x) => tf.step(x)),
  unary("step with slope", (x) => tf.step(x, -1)),
  unary("clip", (x) => tf.clipByValue(x, -0.5, 0.7)),
  unary("isNaN", (x) => tf.isNaN(tf.log(x))),
  unary("isInf", (x) => tf.isInf(tf.div(x, 0))),
  unary("isFinite", (x) => tf.isFinite(tf.div(tf.log(x), tf.round(x)))),
  unary("to int", (x) => tf.cast(tf.mul(x, 3), "int32")),
  unary("to bool", (x) => tf.cast(tf.round(x), "bool")),
  unary("onesLike", tf.onesLike),
  unary("zerosLike", tf.zerosLike),
  unary("clone", (x) => tf.clone(x)),
]);

family("functions of two values", [
  binary("add", tf.add),
  binary("sub", tf.sub),
  binary("mul", tf.mul),
  binary("div", tf.div),
  binary("maximum", tf.maximum),
  binary("minimum", tf.minimum),
  binary("squaredDifference", tf.squaredDifference),
  binary("pow", tf.pow, uniform(0.2, 2, [2, 3], [3])),
  binary("pow 1.5", (x) => tf.pow(x, 1.5), uniform(0.2, 2, [2, 3], [3])),
  binary("pow 3", (x) => tf.pow(x, 3)),
  binary("floorDiv", (a, b) => tf.floorDiv(tf.mul(a, 4), b)),
  binary("mod", (a, b) => tf.mod(tf.mul(a, 4), tf.add(tf.abs(b), 1))),
  binary("addN", (a, b) => tf.addN([a, a, tf.mul(a, b)])),
  binary("equal", (a, b) => tf.equal(tf.round(a), tf.round(b))),
  binary("notEqual", (a, b) => tf.notEqual(tf.round(a), tf.round(b))),
  binary("greater", tf.greater),
  binary("greaterEqual", tf.greaterEqual),
  binary("less", tf.less),
  binary("lessEqual", tf.lessEqual),
  binary("logicalAnd", (a, b) => tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0))),
  binary("logicalOr", (a, b) => tf.logicalOr(tf.greater(a, 0), tf.greater(b, 0))),
  binary("logicalXor", (a, b) => tf.logicalXor(tf.greater(a, 0), tf.greater(b, 0))),
  binary("logicalNot", (a) => tf.logicalNot(tf.greater(a, 0))),
  binary("where", (a, b) => tf.where(tf.greater(a, b), a, tf.mul(b, tf.onesLike(a)))),
  binary("with numbers", (a) => tf.sub(1, tf.div(tf.add(tf.mul(a, 2), 0), 3))),
  binary("with constants", (a) => tf.mul(a, tf.tensor2d([[1, 2, 3, 4]]))),
  binary("of constants", (a) => tf.add(a, tf.mul(tf.scalar(2), tf.ones([2, 3, 1])))),
  binary("integers", (a, b) => tf.add(tf.mul(a, b), tf.sub(a, 3)), integers([1, -2, 3], [4, 5, 6])),
  binary(
    "integer floorDiv and mod",
    (a, b) => tf.stack([tf.floorDiv(a, b), tf.mod(a, b)]),
    integers([7, -7, 7, -7], [2, 2, -2, -2]),
  ),
]);

family("reductions", [
  unary("sum", (x) => tf.sum(x)),
  unary("sum of rows", (x) => tf.sum(x, 1, true)),
  unary("mean", (x) => tf.mean(x, [0, 2]), normal(MAP)),
  unary("max", (x) => tf.max(x, -1), normal(MAP)),
  unary("min", (x) => tf.min(x, 0), normal(MAP)),
  unary("prod", (x) => tf.prod(x, 1)),
  unary("all", (x) => tf.all(tf.greater(x, -1), 1)),
  unary("any", (x) => tf.any(tf.greater(x, 1), 1)),
  unary("argMax", (x) => tf.argMax(x, 1)),
  unary("argMin", (x) => tf.argMin(x, 0)),
  unary("softmax", (x) => tf.softmax(x)),
  unary("logSoftmax", (x) => tf.logSoftmax(x)),
  unary("logSumExp", (x) => tf.logSumExp(x, 1)),
  unary("moments", (x) => tf.stack([tf.moments(x, 1).mean, tf.moments(x, 1).variance])),
  unary("cumsum", (x) => tf.cumsum(x, 1)),
  unary("exclusive cumsum backwards", (x) => tf.cumsum(x, 0, true, true)),
  unary("sum of repeated values", (x) => tf.sum(tf.tile(tf.reshape(x, [3, 1, 5]), [1, 4, 1]), 1)),
  unary("mean of repeated values", (x) => tf.mean(tf.tile(tf.reshape(x, [3, 5, 1]), [1, 1, 2]), 2)),
  unary("prod of repeated values", (x) => tf.prod(tf.tile(tf.reshape(x, [3, 1, 5]), [1, 3, 1]), 1)),
  { name: "topk", run: (x) => Object.values(tf.topk(asRank(x), 2)), inputs: normal([3, 5]) },
  unary("range", (x) => tf.add(x, tf.range(0, 5))),
  unary("linspace", (x) => tf.add(x, tf.linspace(-1, 1, 5))),
]);

function asRank(x: tf.Tensor): tf.Tensor2D {
  return tf.reshape(x, [3, 5]);
}

family("shapes", [
  unary("reshape", (x) => tf.reshape(x, [5, -1])),
  unary("expandDims and squeeze", (x) => tf.squeeze(tf.expandDims(tf.expandDims(x, 0), -1), [0])),
  unary("transpose", (x) => tf.transpose(x, [2, 0, 3, 1]), normal(MAP)),
  unary("transpose, reshape", (x) => tf.reshape(tf.transpose(x), [3, 6, 8]), normal(MAP)),
  unary("transpose, transpose", (x) => tf.transpose(tf.transpose(x, [1, 0, 2, 3])), normal(MAP)),
  binary("concat", (a, b) => tf.concat([a, b, a], 1), normal([2, 3], [2, 4])),
  binary("stack", (a, b) => tf.stack([a, b], 1), normal([2, 3], [2, 3])),
  { name: "unstack", run: (x) => tf.unstack(x, 1), inputs: normal(MAP) },
  { name: "split", run: (x) => tf.split(x, 3, -1), inputs: normal(MAP) },
  { name: "split into sizes", run: (x) => tf.split(x, [1, 3, 2], 2), inputs: normal(MAP) },
  unary("slice", (x) => tf.slice(x, [0, 1, 2], [2, 2, -1]), normal(MAP)),
  unary("stridedSlice", (x) => tf.stridedSlice(x, [0, 3, 0], [2, 0, 6], [1, -1, 2]), normal(MAP)),
  unary(
    "stridedSlice with masks",
    (x) => tf.stridedSlice(x, [0, 1], [2, 2], [1, 1], 1, 1, 0, 0, 2),
    normal(MAP),
  ),
  unary("reverse", (x) => tf.reverse(x, [1, 2]), normal(MAP)),
  unary("pad", (x) => tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], 0.5), normal(MAP)),
  unary(
    "reflect",
    (x) => tf.mirrorPad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "reflect"),
    normal(MAP),
  ),
  unary(
    "symmetric",
    (x) => tf.mirrorPad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "symmetric"),
    normal(MAP),
  ),
  unary("tile", (x) => tf.tile(x, [2, 3])),
  unary("broadcastTo", (x) => tf.broadcastTo(tf.reshape(x, [3, 1, 5]), [2, 3, 4, 5])),
  unary(
    "repeat, split",
    (x) => tf.concat(tf.split(tf.tile(tf.reshape(x, [3, 1, 5]), [1, 4, 1]), 2, 1), 2),
  ),
  unary("fill", (x) => tf.concat([x, tf.fill([2, 5], 3), tf.ones([1, 5])], 0)),
  unary("gather", (x) => tf.gather(x, tf.tensor1d([2, 0, 2], "int32"), 1)),
  unary(
    "gather by matrix",
    (x) => tf.gather(x, tf.tensor2d([[2, 0], [1, 1]], undefined, "int32"), 0),
  ),
  unary("eye", (x) => tf.matMul(asRank(x), tf.eye(5))),
  {
    name: "oneHot",
    run: (x) => tf.oneHot(tf.reshape(tf.cast(x, "int32"), [2, 2]), 5),
    inputs: integers([3, 0, 4, 1]),
  },
  {
    name: "oneHot of others",
    run: (x) => tf.oneHot(tf.cast(x, "int32"), 3, 0.5, -1, "float32"),
    inputs: integers([2, 0]),
  },
  {
    name: "scatterND",
    run: (x) => tf.scatterND(tf.tensor2d([[4], [1], [4]], undefined, "int32"), x, [6, 5]),
    inputs: normal([3, 5]),
  },
  {
    name: "tensorScatterUpdate",
    run: (x) => tf.tensorScatterUpdate(x, tf.tensor2d([[1]], undefined, "int32"), tf.ones([1, 5])),
    inputs: normal([3, 5]),
  },
  {
    name: "unsortedSegmentSum",
    run: (x) => tf.unsortedSegmentSum(x, tf.tensor1d([1, 0, 1], "int32"), 3),
    inputs: normal([3, 5]),
  },
]);

family("matrix products", [
  binary("matMul", (a, b) => tf.matMul(a, b), normal([3, 4], [4, 5])),
  binary("transposed a", (a, b) => tf.matMul(a, b, true), normal([4, 3], [4, 5])),
  binary("transposed b", (a, b) => tf.matMul(a, b, false, true), normal([3, 4], [5, 4])),
  binary("both transposed", (a, b) => tf.matMul(a, b, true, true), normal([4, 3], [5, 4])),
  binary("batches", (a, b) => tf.matMul(a, b), normal([2, 3, 4], [2, 4, 5])),
  binary("transposed batches", (a, b) => tf.matMul(a, b, true, true), normal([2, 4, 3], [2, 5, 4])),
  binary("broadcast batches", (a, b) => tf.matMul(a, b), normal([2, 2, 3, 4], [1, 2, 4, 5])),
  binary("of constants", (a) => tf.matMul(a, tf.ones([4, 2])), normal([3, 4], [1])),
  {
    name: "fused",
    run: (a, b, bias) =>
      tf.fused.matMul({ a, b, bias: bias ?? tf.scalar(0), activation: "relu", transposeB: true }),
    inputs: normal([3, 4], [5, 4], [5]),
  },
  {
    name: "einsum",
    run: (a, b) => tf.einsum("bij,bjk->bik", a, b),
    inputs: normal([2, 3, 4], [2, 4, 5]),
  },
  {
    name: "outer",
    run: (a, b) => tf.outerProduct(tf.reshape(a, [3]), tf.reshape(b, [4])),
    inputs: normal([3], [4]),
  },
]);

const conv = (
  name: string,
  stride: number,
  pad: "same" | "valid" | number | tf.backend_util.ExplicitPadding,
  filter = [3, 3, 3, 4],
  dilation = 1,
): Case => ({
  name,
  run: (x, f) => tf.conv2d(asMap(x), asMap(f), stride, pad, "NHWC", dilation),
  inputs: normal([2, 7, 6, 3], filter),
});

family("convolutions", [
  conv("same", 1, "same"),
  conv("valid", 1, "valid"),
  conv("strided", 2, "same"),
  conv("padded", 2, [[0, 0], [0, 1], [0, 1], [0, 0]]),
  conv("padded by number", 1, 2),
  conv("pointwise", 1, "same", [1, 1, 3, 5]),
  conv("dilated", 1, "same", [3, 3, 3, 4], 2),
  conv("even filter", 1, "same", [2, 4, 3, 4]),
  {
    name: "fused",
    run: (x, filter, bias) =>
      tf.fused.conv2d({
        x: asMap(x),
        filter: asMap(filter),
        strides: 1,
        pad: "same",
        bias: bias ?? tf.scalar(0),
        activation: "elu",
      }),
    inputs: normal([2, 5, 5, 3], [3, 3, 3, 4], [4]),
  },
  {
    name: "depthwise",
    run: (x, filter) => tf.depthwiseConv2d(asMap(x), asMap(filter), 1, "same"),
    inputs: normal([2, 5, 6, 3], [3, 3, 3, 2]),
  },
  {
    name: "transposed",
    run: (x, filter) => tf.conv2dTranspose(asMap(x), asMap(filter), [2, 8, 8, 3], 2, "same"),
    inputs: normal([2, 4, 4, 4], [3, 3, 3, 4]),
  },
]);

const resize = (name: string, run: (x: tf.Tensor4D) => tf.Tensor4D): Case => ({
  name,
  run: (x) => run(asMap(x)),
  inputs: normal(MAP),
});

const row = (x: tf.Tensor | undefined): tf.Tensor1D => tf.reshape(x ?? tf.zeros([1]), [-1]);

family("pooling and resizing", [
  resize("depthToSpace", (x) => tf.depthToSpace(tf.concat([x, tf.neg(x), x, tf.exp(x)], 3), 2)),
  {
    name: "batchNorm",
    run: (x, mean, scale) =>
      tf.batchNorm(asMap(x), row(mean), tf.abs(row(mean)), row(scale), row(scale), 0.01),
    inputs: normal(MAP, [3], [3]),
  },
  {
    name: "batchNorm of rows",
    run: (x, mean) =>
      tf.batchNorm(asRank(x), row(mean), tf.abs(row(mean)), undefined, undefined, 0.01),
    inputs: normal([3, 5], [5]),
  },
  resize("avgPool", (x) => tf.avgPool(x, 2, 2, "valid")),
  resize("avgPool with padding", (x) => tf.avgPool(x, 3, 2, "same")),
  resize("maxPool", (x) => tf.maxPool(x, 2, 2, "valid")),
  resize("maxPool with padding", (x) => tf.maxPool(x, 3, 1, "same")),
  resize("nearest", (x) => tf.image.resizeNearestNeighbor(x, [8, 12])),
  resize("nearest, odd", (x) => tf.image.resizeNearestNeighbor(x, [7, 5])),
  resize("nearest, corners", (x) => tf.image.resizeNearestNeighbor(x, [7, 5], true)),
  resize("nearest, centers", (x) => tf.image.resizeNearestNeighbor(x, [7, 5], false, true)),
  resize("bilinear", (x) => tf.image.resizeBilinear(x, [7, 9])),
  resize("bilinear, smaller", (x) => tf.image.resizeBilinear(x, [3, 2])),
  resize("bilinear, corners", (x) => tf.image.resizeBilinear(x, [7, 9], true)),
  resize("bilinear, centers", (x) => tf.image.resizeBilinear(x, [7, 9], false, true)),
]);

const filter = () => tf.randomNormal<tf.Rank.R4>([3, 3, 3, 4], 0, 1, "float32", 9);
const afterConv = (name: string, run: (x: tf.Tensor4D) => tf.Tensor | tf.Tensor[]): Case => ({
  name,
  run: (x) => run(tf.conv2d(asMap(x), filter(), 1, "same")),
  inputs: normal(MAP),
});

family("values that are stored channels first", [
  afterConv("returned", (x) => x),
  afterConv(
    "per channel",
    (x) => tf.add(tf.mul(x, tf.tensor1d([1, 2, 3, 4])), tf.ones([2, 1, 1, 4])),
  ),
  afterConv(
    "with another order",
    (x) => tf.add(x, tf.transpose(tf.ones([4, 6, 4, 2]), [3, 0, 1, 2])),
  ),
  afterConv("reduced", (x) => tf.sum(x, [1, 2])),
  afterConv("reduced over channels", (x) => tf.max(x, 3, true)),
  afterConv("in groups", (x) => tf.mean(tf.reshape(x, [2, 4, 6, 2, 2]), [1, 2, 4])),
  afterConv(
    "split into groups",
    (x) => tf.reshape(tf.mul(tf.reshape(x, [2, 4, 6, 2, 2]), 2), [2, 24, 4]),
  ),
  afterConv("as tokens", (x) => tf.softmax(tf.reshape(x, [2, 24, 4]))),
  afterConv("as rows", (x) => tf.matMul(tf.reshape(x, [48, 4]), tf.ones([4, 3]))),
  afterConv("flat", (x) => tf.reshape(x, [-1])),
  afterConv("across", (x) => tf.reshape(x, [4, 2, 3, 8])),
  afterConv("softmax over height", (x) => tf.transpose(tf.softmax(tf.transpose(x, [0, 2, 3, 1])))),
  afterConv("joined", (x) => tf.concat([x, tf.ones([2, 4, 6, 1]), tf.mul(x, 2)], 3)),
  afterConv("cut", (x) => tf.split(tf.slice(x, [0, 1, 0, 0], [2, 2, 6, 4]), 2, 3)),
  afterConv("padded", (x) => tf.pad(x, [[0, 0], [1, 0], [0, 2], [1, 0]])),
  afterConv("gathered", (x) => tf.gather(x, tf.tensor1d([3, 1], "int32"), 3)),
  afterConv("chosen", (x) => tf.where(tf.greater(x, 0), x, tf.zerosLike(x))),
  afterConv("greatest", (x) => tf.argMax(x, 3)),
  afterConv("cumulated", (x) => tf.cumsum(x, 2)),
  afterConv("repeated", (x) => tf.tile(x, [1, 2, 1, 2])),
  afterConv("reversed", (x) => tf.reverse(x, 3)),
  afterConv("stacked", (x) => tf.stack(tf.unstack(x, 3), 1)),
  afterConv("matrices", (x) => tf.matMul(x, x, true, false)),
]);
