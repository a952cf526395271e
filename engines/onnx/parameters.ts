/**
 * A checkpoint's parameters as initializers of a graph: where the bytes lie in a file they are
 * only pointed at, so that nothing is copied and no limit of 2 GB applies.
 *
 * @module
 */
import { findStored } from "../../models/parameters.ts";
import { type ParameterSpec, storedShape } from "../../models/scope.ts";
import type { StoredTensor, Weights } from "../../models/weights.ts";
import type { Edge, ElementType, Graph } from "./graph.ts";
import type { EdgeSource } from "./trace.ts";

// Types that ONNX Runtime reads from the file itself; it widens halves once, when it loads them.
const IN_FILE: Readonly<Record<string, ElementType>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

function edgeOf(graph: Graph, stored: StoredTensor): Edge {
  const { name, shape, file, dtype } = stored;
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
      if (mapped) return edgeOf(graph, stored);
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
