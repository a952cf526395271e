/**
 * Layers that are known by the names of their parameters: which of them are computed in bytes, and
 * what is looked at while a network runs.
 *
 * @module
 */
import type { ByteWeights } from "../../quantization/bytes.ts";
import type { Scales } from "../../quantization/scales.ts";
import { type Edge, type Graph, sizeOf } from "./graph.ts";

/** How layers are computed, beyond the plain way. */
export interface Layers {
  /** Layers in bytes. */
  readonly scales?: Scales | undefined;
  /** Weights that were turned into bytes, kept for graphs of other shapes. */
  readonly bytes?: Map<string, ByteWeights> | undefined;
  /** Where layers put what they take and give, to be outputs of the graph. */
  readonly watched?: Watched[] | undefined;
}

/** A value that is looked at. */
export interface Seen {
  /** Its name as an output. */
  readonly name: string;
  readonly edge: Edge;
  /** How many values of one channel lie side by side. */
  readonly inner: number;
  readonly channels: number;
}

/** What a layer takes, by the parts that are concatenated, and gives. */
export interface Watched {
  readonly layer: string;
  readonly kind: "convolution" | "product";
  readonly parts: readonly Seen[];
  readonly output: Seen;
}

/** A layer's weights where they are a parameter as it is stored: `[out, …]`. */
export interface Parameter {
  /** The name without `.weight`. */
  readonly layer: string;
  /** Of `[out, in, …]`. */
  readonly dims: readonly number[];
  read(): Float32Array;
}

const UNMOVED = new Set(["Cast", "Reshape"]); // leave the order of the elements as it is

/** The parameter that an edge is. */
export function parameterOf(edge: Edge): Parameter | undefined {
  let at = edge;
  while (at.node !== undefined && UNMOVED.has(at.node.op) && at.node.inputs[0] !== undefined) {
    at = at.node.inputs[0];
  }
  const { source } = at;
  if (source === undefined || source.kind === "data") return undefined;
  return {
    layer: at.name.replace(/\|.*/, "").replace(/\.weight$/, ""),
    dims: edge.dims,
    read: () => source.read() as Float32Array, // parameters are float32 when they are read
  };
}

/**
 * Has a layer's input and output looked at, where that is asked for.
 *
 * @param axis Of the input's channels; those of the output are axis 1
 */
export function watch(
  graph: Graph,
  kind: Watched["kind"],
  weights: Edge,
  input: Edge,
  axis: number,
  output: Edge,
): void {
  const { watched } = graph.layers;
  const layer = watched && parameterOf(weights)?.layer;
  if (watched === undefined || layer === undefined) return;
  const look = (name: string, edge: Edge, axis: number): Seen => ({
    name: `${layer}|${name}`,
    edge,
    inner: sizeOf(edge.dims.slice(axis + 1)),
    channels: edge.dims[axis] ?? 1,
  });
  watched.push({
    layer,
    kind,
    parts: partsOf(graph, input, axis).map((part, index) => look(`input${index}`, part, axis)),
    output: look("output", output, 1),
  });
}

/** The parts that an edge is concatenated of along an axis; itself where it is not. */
export function partsOf(graph: Graph, edge: Edge, axis: number): readonly Edge[] {
  const { op, inputs = [], attributes } = edge.node ?? {};
  const [first] = inputs;
  const order = attributes?.perm;
  if (op === "Transpose" && Array.isArray(order) && first !== undefined) {
    return partsOf(graph, first, order[axis]).map((part) => graph.transpose(part, order));
  }
  if (op !== "Concat" || attributes?.axis !== axis) return [edge];
  return inputs.filter((input) => input !== undefined);
}
