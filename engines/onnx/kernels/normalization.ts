/**
 * Normalizations as kernels of their own.
 *
 * @module
 */
import { sizeOf } from "../graph.ts";
import type { Call, Kernels } from "../kernel.ts";
import { natural, plain, stored, value } from "../value.ts";
import { add, mul } from "./arithmetic.ts";

/**
 * The groups of an image are the instances of ONNX's InstanceNormalization, which computes their
 * statistics and applies them in one node; gamma and beta follow by channel.
 */
function groupNorm({ graph, input, attributes }: Call) {
  const [x, gamma, beta] = [input("x"), input("gamma"), input("beta")];
  const rank = x.shape.length;
  const order = [0, rank - 1, ...natural(rank).slice(1, -1)]; // channels before positions
  const edge = stored(graph, x, order);
  const [batch = 1, channels = 1, ...positions] = edge.dims;
  const groups = attributes.number("groups");
  const size = channels / groups * sizeOf(positions);
  const one = graph.constant("float32", [groups], new Float32Array(groups).fill(1));
  const zero = graph.constant("float32", [groups], new Float32Array(groups));
  const dims = [batch, groups, size];
  const inputs = [graph.reshape(edge, dims), one, zero];
  const epsilon = { float: attributes.number("eps") };
  const normed = graph.node("InstanceNormalization", inputs, { type: "float32", dims }, {
    epsilon,
  });
  const y = value(graph.reshape(normed, edge.dims), x.shape, order);
  return add(graph, mul(graph, y, gamma), beta);
}

/** ONNX's LayerNormalization, over the last axis. */
function layerNorm({ graph, input, attributes }: Call) {
  const x = input("x");
  const form = { type: "float32", dims: x.shape } as const;
  const edges = [x, input("gamma"), input("beta")].map((value) => plain(graph, value));
  const epsilon = { float: attributes.number("eps") };
  return value(graph.node("LayerNormalization", edges, form, { axis: -1, epsilon }), x.shape);
}

/** Kernels of normalization. */
export const NORMALIZATION: Kernels = { GroupNorm: groupNorm, LayerNorm: layerNorm };
