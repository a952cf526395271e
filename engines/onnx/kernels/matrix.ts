/**
 * Kernels of matrix products.
 *
 * @module
 */
import * as tf from "tfjs";
import { equal, type Graph } from "../graph.ts";
import type { Call, Kernels } from "../kernel.ts";
import { watch } from "../layers.ts";
import { arrange, broadcast, full, natural, plain, type Value, value } from "../value.ts";
import { add, toFloat } from "./arithmetic.ts";
import { fusedAttention } from "./attention.ts";
import { activate } from "./elementwise.ts";
import { integerProduct } from "./integer.ts";

/** With the last two axes swapped, in name only. */
export function swapped(x: Value): Value {
  const last = x.shape.length - 1;
  const swap = (axis: number) => axis === last ? last - 1 : axis === last - 1 ? last : axis;
  const axes = natural(x.shape.length).map(swap);
  const [shape, dims] = [x.shape, x.dims].map((sizes) => axes.map((axis) => sizes[axis] ?? 1));
  return value(x.edge, shape, x.order.map(swap), dims);
}

/** True where a gradient will ask for what lies between. */
function differentiated(): boolean {
  return tf.engine().state.gradientDepth > 0;
}

/** A product of matrices; leading axes are batches that broadcast. */
export function product(graph: Graph, a: Value, b: Value): Value {
  const rank = Math.max(a.shape.length, b.shape.length);
  const rows = a.shape[a.shape.length - 2] ?? 1;
  const columns = b.shape[b.shape.length - 1] ?? 1;
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const form = { type: "float32", dims: [...batch, rows, columns] } as const;
  const bytes = rank === 2 && integerProduct(graph, a, b);
  if (bytes) return bytes;
  const [left, right] = [full(graph, a), full(graph, b)];
  if (rank === 2) {
    // Gemm reads either operand in the order in which it is stored.
    const flags = [left, right].map((x) => equal(x.order, [0, 1]) ? 0 : 1);
    if (flags.includes(1)) {
      const [transA = 0, transB = 0] = flags;
      const edge = graph.node("Gemm", [left.edge, right.edge], form, { transA, transB });
      if (transB === 1) {
        watch(graph, "product", right.edge, left.edge, left.order.indexOf(1), edge);
      }
      return value(edge);
    }
  }
  const edges = [plain(graph, left), plain(graph, right)] as const;
  const attention = graph.fuses && !differentiated() ? fusedAttention(graph, ...edges) : undefined;
  return attention ?? value(graph.node("MatMul", edges, form));
}

function matMul({ graph, input, attributes }: Call): Value {
  const [a, b] = [toFloat(graph, input("a")), toFloat(graph, input("b"))];
  return product(
    graph,
    attributes.flag("transposeA") ? swapped(a) : a,
    attributes.flag("transposeB") ? swapped(b) : b,
  );
}

function einsum({ graph, inputs, attributes }: Call): Value {
  const equation = attributes.text("equation").replace(/\s/g, "");
  const [left = "", right = ""] = equation.split("->");
  const sizes = new Map<string, number>();
  left.split(",").forEach((term, index) => {
    [...term].forEach((letter, axis) => sizes.set(letter, inputs[index]?.shape[axis] ?? 1));
  });
  const dims = [...right].map((letter) => sizes.get(letter) ?? 1);
  const edges = inputs.map((x) => arrange(graph, full(graph, x), natural(x.shape.length)));
  return value(graph.node("Einsum", edges, { type: "float32", dims }, { equation }));
}

/** Kernels of matrices. */
export const MATRIX: Kernels = {
  BatchMatMul: matMul,
  _FusedMatMul: (call) => {
    const { graph, attributes } = call;
    const bias = call.optional("bias");
    const slopes = call.optional("preluActivationWeights");
    const y = bias === undefined ? matMul(call) : add(graph, matMul(call), bias);
    const alpha = attributes.number("leakyreluAlpha", 0.2);
    return activate(graph, y, attributes.text("activation", "linear"), alpha, slopes);
  },
  Einsum: einsum,
};
