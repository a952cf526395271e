/**
 * A checkpoint's parameters as initializers of a graph: where the bytes lie in a file they are
 * only pointed at, so that nothing is copied and no limit of 2 GB applies.
 *
 * @module
 */
import { findStored } from "../../models/parameters.ts";
import { type ParameterSpec, storedShape } from "../../models/scope.ts";
import type { Blocks, BlockSource, StoredTensor, Weights } from "../../models/weights.ts";
import { BLOCK } from "../../quantization/blocks.ts";
import { type Edge, type ElementType, type Graph, sizeOf } from "./graph.ts";
import type { EdgeSource } from "./trace.ts";

// Types that ONNX Runtime reads from the file itself; it widens halves once, when it loads them.
const IN_FILE: Readonly<Record<string, ElementType>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * Values in blocks. They become float32 when a layer takes them, and are forgotten behind it: ONNX
 * Runtime folds all that is constant but DequantizeLinear.
 */
function blocksEdge(
  graph: Graph,
  { name, shape }: StoredTensor,
  { bits, read }: BlockSource,
): Edge {
  const rows = sizeOf(shape) / BLOCK;
  const dims = [rows, BLOCK];
  const part = (what: keyof Blocks, type: ElementType, dims: readonly number[]) =>
    graph.initializer(`${name}.${what}`, type, dims, { kind: "lazy", read: () => read()[what] });
  const numbers = part("bytes", bits === 8 ? "int8" : "int4", dims);
  const inputs = [numbers, part("steps", "float32", [rows])];
  const values = graph.node("DequantizeLinear", inputs, { type: "float32", dims }, { axis: 0 });
  return graph.reshape(values, shape);
}

function edgeOf(graph: Graph, stored: StoredTensor): Edge {
  const { name, shape, file, dtype, blocks } = stored;
  if (blocks !== undefined) return blocksEdge(graph, stored, blocks);
  const type = IN_FILE[dtype];
  if (file === undefined || type === undefined) {
    return graph.initializer(name, "float32", shape, { kind: "lazy", read: () => stored.read() });
  }
  const read = () => stored.read();
  const edge = graph.initializer(name, type, shape, { kind: "file", ...file, read });
  if (type === "float32") return edge;
  return graph.node("Cast", [edge], { type: "float32", dims: shape }, { to: 1 });
}

/** The parameters of a checkpoint, pointed at in its files where `mapped`, else read. */
export function checkpointEdges(weights: Weights, mapped: boolean): EdgeSource {
  return {
    edge(graph, spec) {
      const stored = findStored(weights, spec);
      if (mapped || stored.blocks !== undefined) return edgeOf(graph, stored);
      const read = () => stored.read();
      return graph.initializer(spec.name, "float32", stored.shape, { kind: "lazy", read });
    },
    has: (name) => weights.has(name),
  };
}

/** Parameters without values, for shapes alone. */
export function shapeEdges(has: (name: string, otherwise: boolean) => boolean): EdgeSource {
  return {
    edge(graph, spec: ParameterSpec) {
      const shape = storedShape(spec.shape, spec.layout);
      const read = () => new Float32Array();
      return graph.initializer(spec.name, "float32", shape, { kind: "lazy", read });
    },
    has,
  };
}
