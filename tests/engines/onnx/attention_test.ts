import { assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Computation } from "../../../engines/engine.ts";
import type { Target } from "../../../engines/onnx/graph.ts";
import { shapeEdges } from "../../../engines/onnx/parameters.ts";
import { traceComputation } from "../../../engines/onnx/trace.ts";
import { attention } from "../../../models/layers.ts";
import { assertClose, withEngine } from "./_compare.ts";

await tf.setBackend("cpu");

const tokens = (x: tf.Tensor | undefined): tf.Tensor3D => {
  const [batch, count, channels] = x?.shape ?? [];
  if (x === undefined || batch === undefined || count === undefined || channels === undefined) {
    throw new TypeError("no tokens");
  }
  return tf.reshape(x, [batch, count, channels]);
};

const attend = (heads: number): Computation => (_, q, k, v) => [
  attention(tokens(q), tokens(k), tokens(v), heads),
];

function operations(computation: Computation, shapes: number[][], target: Target): string[] {
  const { model } = traceComputation(computation, shapeEdges(() => false), shapes, target);
  return model.nodes.map(({ op }) => op);
}

const LARGE = [[2, 1024, 64], [2, 1024, 64], [2, 1024, 64]];

Deno.test("trace turns large attention into one node", () => {
  const heads = operations(attend(8), LARGE, "runtime");
  assertEquals(heads, ["MultiHeadAttention", "Identity"]);
  const one = operations(attend(1), [[4, 1024, 64], [4, 1024, 64], [4, 1024, 64]], "runtime");
  assertEquals(one, ["MultiHeadAttention", "Identity"]);
});

Deno.test("trace keeps attention in parts where it is small, differentiated or for others", () => {
  const small = LARGE.map(([batch = 1, , channels = 1]) => [batch, 16, channels]);
  const slope: Computation = (scope, ...inputs) => {
    const run = (q: tf.Tensor) => tf.sum(tokens(attend(8)(scope, q, ...inputs.slice(1))[0]));
    return [tf.grad(run)(tokens(inputs[0]))];
  };
  for (
    const nodes of [
      operations(attend(8), small, "runtime"),
      operations(attend(8), LARGE, "any"),
      operations(slope, LARGE, "runtime"),
    ]
  ) {
    assertEquals(nodes.includes("MultiHeadAttention"), false);
    assertEquals(nodes.includes("Softmax"), true);
  }
});

Deno.test("onnx engine computes attention in one node as in parts", () =>
  withEngine(async (engine) => {
    const [q, k, v] = [600, 900, 900].map((count, index) =>
      tf.randomNormal([1, count, 32], 0, 1, "float32", index + 1)
    );
    const [y] = await engine.compile(attend(8), new Map())(tokens(q), tokens(k), tokens(v));
    assertClose(tokens(y), attention(tokens(q), tokens(k), tokens(v), 8), 1e-5);
  }));
