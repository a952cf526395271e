import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import type { Computation } from "../../../engines/engine.ts";
import { shapesOf, trace } from "../../../engines/onnx.ts";
import type { Model } from "../../../engines/onnx/graph.ts";
import { checkpointEdges, shapeEdges } from "../../../engines/onnx/parameters.ts";
import { type InputForm, traceComputation } from "../../../engines/onnx/trace.ts";
import { conv, groupNorm, linear, silu, upsample } from "../../../models/layers.ts";
import type { Weights } from "../../../models/weights.ts";
import { asMap, quiet } from "./_compare.ts";

await tf.setBackend("cpu");
quiet();

function modelOf(computation: Computation, inputs: readonly InputForm[]): Model {
  return traceComputation(computation, shapeEdges((_, otherwise) => otherwise), inputs).model;
}

function count(model: Model, op: string): number {
  return model.nodes.filter((node) => node.op === op).length;
}

const input = (x: tf.Tensor | undefined): tf.Tensor => {
  if (x === undefined) throw new TypeError("no input");
  return x;
};

/** A network with every part of a UNet but attention. */
const network: Computation = (scope, ...inputs) => {
  const x = conv(scope.at("conv_in"), asMap(input(inputs[0])), 8);
  const time = linear(scope.at("time"), input(inputs[1]), 16);
  const normed = silu(groupNorm(scope.at("norm1"), x, 4, 1e-5));
  const low = conv(scope.at("down"), normed, 16, { stride: 2, padding: [0, 1] });
  const [scale, shift] = tf.split(tf.reshape(time, [-1, 1, 1, 16]), 2, 3);
  const wide = tf.concat([upsample(low), x], 3);
  const cut = tf.slice(wide, [0, 0, 0, 0], [-1, -1, -1, 8]);
  const mixed = tf.add(tf.mul(cut, tf.add(input(scale), 1)), input(shift));
  return [conv(scope.at("conv_out"), asMap(tf.mul(tf.add(mixed, x), 0.5)), 3)];
};

const FORMS = [[2, 8, 8, 3], [2, 6]];

Deno.test("trace keeps feature maps channels first: one transpose for the images, one back", () => {
  const model = modelOf(network, FORMS);
  assertEquals(count(model, "Transpose"), 2);
  assertEquals(count(model, "Conv"), 3);
});

Deno.test("trace makes group normalization one node, but for gradients", () => {
  const norm: Computation = (scope, x) => [groupNorm(scope, input(x), 4, 1e-5)];
  const model = modelOf(norm, [[2, 8, 8, 16]]);
  assertEquals([count(model, "InstanceNormalization"), count(model, "ReduceMean")], [1, 0]);
  const slope = modelOf((scope, x) => [
    tf.grad((x) => tf.sum(input(norm(scope, x)[0])))(input(x)),
  ], [[2, 8, 8, 16]]);
  assertEquals(count(slope, "InstanceNormalization"), 0);
});

Deno.test("trace turns no feature map in the gradient of a network", () => {
  const model = modelOf((scope, ...inputs) => [
    tf.grad((x) => tf.sum(input(network(scope, x, input(inputs[1]))[0])))(input(inputs[0])),
  ], FORMS);
  const turned = model.nodes.filter(({ op, attributes }) =>
    op === "Transpose" && String(attributes.perm) !== "1,0,2,3" // filters between their channels
  );
  // Images in and out, and the gradient of doubling, which joins axes.
  assert(turned.length <= 5, `${turned.length} transposes`);
});

Deno.test("trace leaves out what no output needs", () => {
  const model = modelOf((scope, ...inputs) => {
    const x = input(inputs[0]);
    conv(scope.at("unused"), asMap(x), 8);
    return [tf.exp(x)];
  }, [[1, 4, 4, 3]]);
  assertEquals(model.nodes.map((node) => node.op), ["Exp", "Identity"]);
  assertEquals(model.initializers.length, 0);
});

Deno.test("trace makes equal nodes once", () => {
  const model = modelOf((_, x) => [tf.add(tf.exp(input(x)), tf.mul(tf.exp(input(x)), 2))], [[3]]);
  assertEquals(count(model, "Exp"), 1);
});

Deno.test("trace stores uniform tensors as one number", () => {
  const bytes = trace((_, x) => [tf.add(tf.mul(input(x), 2), tf.fill([64, 64], 3))], new Map(), [[
    64,
    64,
  ]]);
  assert(bytes.length < 1000, `${bytes.length} bytes`);
  const model = modelOf((_, x) => [tf.grad((x) => tf.mean(x))(input(x))], [[64, 64]]);
  assertEquals(model.nodes.map((node) => node.op), ["Expand", "Identity"]);
});

Deno.test("trace drops factors of one and terms of zero", () => {
  const model = modelOf(
    (_, x) => [tf.add(tf.mul(input(x), tf.onesLike(input(x))), tf.zeros([4]))],
    [[3, 4]],
  );
  assertEquals(model.nodes.map((node) => node.op), ["Identity"]);
});

Deno.test("trace names an operation that it does not know, and its caller", () => {
  const computation: Computation = (scope, x) => {
    linear(scope.at("encoder", 0), input(x), 4);
    return [tf.spectral.fft(tf.complex(input(x), input(x)))];
  };
  const error = assertThrows(() => shapesOf(computation, [[2, 4]]), Error, "operation Complex");
  assert(/onnx\/trace_test\.ts:\d+/.test(error.message), error.message);
  assert(error.message.includes('parameter "encoder.0.bias"'), error.message);
});

Deno.test("trace refuses to read what is not yet computed", () => {
  assertThrows(
    () => shapesOf((_, x) => [tf.scalar(tf.sum(input(x)).dataSync()[0] ?? 0)], [[2, 3]]),
    Error,
    "Cannot read a tensor of shape []",
  );
});

Deno.test("trace reads constants", () => {
  const numbers = [1, 2, 3];
  const { outputs } = shapesOf(
    (_, x) => [tf.pad(input(x), [[0, tf.tensor1d(numbers).dataSync()[2] ?? 0]])],
    [[2]],
  );
  assertEquals(outputs, [[5]]);
});

Deno.test("trace restores the backend and leaves no tensor, also after an error", () => {
  const before = tf.memory().numTensors;
  const variables = Object.keys(tf.engine().registeredVariables).length;
  shapesOf(network, FORMS);
  shapesOf((_, x) => [tf.variable(input(x))], [[2]]);
  assertThrows(() =>
    shapesOf((_, x) => {
      tf.keep(tf.variable(input(x)));
      throw new RangeError("stop");
    }, [[2]]), RangeError);
  assertEquals(tf.getBackend(), "cpu");
  assertEquals(tf.memory().numTensors, before);
  assertEquals(Object.keys(tf.engine().registeredVariables).length, variables);
});

Deno.test("trace works with tensors of the host", () => {
  const host = tf.tensor1d([1, 2, 3]);
  const { outputs } = shapesOf((_, x) => [tf.add(input(x), host)], [[2, 3]]);
  assertEquals(outputs, [[2, 3]]);
  assertEquals([...host.dataSync()], [1, 2, 3]);
  host.dispose();
});

Deno.test("shapesOf lists outputs and parameters", () => {
  const { outputs, parameters } = shapesOf(network, FORMS);
  assertEquals(outputs, [[2, 8, 8, 3]]);
  assertEquals(parameters.slice(0, 2).map(({ name, shape, layout }) => ({ name, shape, layout })), [
    { name: "conv_in.weight", shape: [3, 3, 3, 8], layout: "filter" },
    { name: "conv_in.bias", shape: [8], layout: "same" },
  ]);
  assertEquals(parameters.length, 10);
});

Deno.test("shapesOf answers questions for names as it is told", () => {
  const asked: string[] = [];
  const computation: Computation = (
    scope,
    x,
  ) => [scope.has("extra", true) ? input(x) : tf.sum(input(x))];
  const has = (name: string) => (asked.push(name), false);
  assertEquals(shapesOf(computation, [[2]]).outputs, [[2]]);
  assertEquals(shapesOf(computation, [[2]], has).outputs, [[]]);
  assertEquals(asked, ["extra"]);
});

Deno.test("trace checks a checkpoint before anything is computed", () => {
  const stored = (shape: number[]) => ({
    name: "conv.weight",
    shape,
    dtype: "F32",
    read: () => new Float32Array(),
  });
  const run = (weights: Weights) => () =>
    traceComputation(
      (scope, x) => [conv(scope.at("conv"), asMap(input(x)), 8)],
      checkpointEdges(weights, true),
      [[1, 4, 4, 3]],
    );
  assertThrows(
    run(new Map()),
    Error,
    'Cannot load "conv.weight": it is missing from the checkpoint',
  );
  const wrong = new Map([["conv.weight", stored([8, 1, 3, 3])]]);
  assertThrows(run(wrong), Error, "[8, 3, 3, 3]");
});
