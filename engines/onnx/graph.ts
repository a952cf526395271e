/**
 * The ONNX graph under construction: values, nodes that make them, and what they need.
 *
 * Equal nodes are made once, and only what the outputs depend on is kept in the end, because ONNX
 * Runtime drops no dead nodes itself.
 *
 * @module
 */
import type { Layers } from "./layers.ts";

/** Element types that the tracer uses, with their numbers in ONNX. */
export const ELEMENT = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  int4: 22,
} as const;

/** The name of an element type. */
export type ElementType = keyof typeof ELEMENT;

/** An attribute of a node: an integer, integers, a float or a string. */
export type Attribute = number | readonly number[] | { readonly float: number } | string;

/** Values of a constant. */
export type ConstantData = Float32Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

/** Where the bytes of an initializer come from. */
export type Source =
  | { readonly kind: "data"; readonly data: ConstantData }
  | {
    readonly kind: "file";
    readonly path: string;
    readonly offset: number;
    readonly length: number;
    /** Its values as float32, for what has to know them. */
    readonly read: () => Float32Array;
  }
  | { readonly kind: "lazy"; readonly read: () => ConstantData };

/** A value that flows along an edge of the graph. */
export interface Edge {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  /** What computes it; absent for inputs and initializers. */
  readonly node?: Node;
  /** Its bytes, where it is an initializer. */
  readonly source?: Source;
}

/** One operation. */
export interface Node {
  readonly op: string;
  /** Empty for ONNX's own operations. */
  readonly domain: string;
  readonly inputs: readonly (Edge | undefined)[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly Edge[];
}

/** A whole graph, pruned: nodes in an order in which they can be computed. */
export interface Model {
  readonly inputs: readonly Edge[];
  readonly outputs: readonly Edge[];
  readonly nodes: readonly Node[];
  readonly initializers: readonly Edge[];
}

/** The type and the size of one output of a node. */
export interface Form {
  readonly type: ElementType;
  readonly dims: readonly number[];
}

/**
 * What a graph is made for: any program that reads ONNX; ONNX Runtime, with nodes of its own; or its
 * provider for x86-64 processors, which computes convolutions on blocks of channels.
 */
export type Target = "any" | "runtime" | "blocks";

/** Builds a graph. */
export class Graph {
  readonly inputs: Edge[] = [];
  /** Whether nodes beyond ONNX's own, of ONNX Runtime, may be used. */
  readonly fuses: boolean;
  /** How layers are computed, beyond the plain way. */
  readonly layers: Layers;
  /** Whether convolutions are computed on blocks of channels. */
  readonly blocked: boolean;
  readonly #nodes: Node[] = [];
  readonly #known = new Map<string, readonly Edge[]>();
  readonly #constants = new Map<string, Edge>();
  readonly #taken = new Set<string>();
  #edges = 0;

  constructor(target: Target = "blocks", layers: Layers = {}) {
    this.fuses = target !== "any";
    this.blocked = target === "blocks";
    this.layers = layers;
  }

  #name(): string {
    return `#${this.#edges++}`; // no parameter is called so
  }

  /** A new input. */
  input(name: string, type: ElementType, dims: readonly number[]): Edge {
    const edge = { name, type, dims };
    this.inputs.push(edge);
    return edge;
  }

  /** An initializer whose bytes are kept elsewhere until the model is written. */
  initializer(name: string, type: ElementType, dims: readonly number[], source: Source): Edge {
    const key = `${name}|${dims}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    // The same bytes may be declared under several shapes.
    const edge = { name: this.#taken.has(name) ? `${name}|${dims}` : name, type, dims, source };
    this.#taken.add(name);
    this.#constants.set(key, edge);
    return edge;
  }

  /** A constant with its values. Small equal constants are shared. */
  constant(type: ElementType, dims: readonly number[], data: ConstantData): Edge {
    const key = data.length > 64 ? undefined : `constant|${type}|${dims}|${data}`;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const edge: Edge = { name: this.#name(), type, dims, source: { kind: "data", data } };
    this.#constants.set(key ?? edge.name, edge);
    return edge;
  }

  /** A list of int64, as shapes, axes and pads are given. */
  integers(values: readonly number[]): Edge {
    return this.constant("int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A node with one output. */
  node(
    op: string,
    inputs: readonly (Edge | undefined)[],
    form: Form,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): Edge {
    const [edge] = this.nodes(op, inputs, [form], attributes, domain);
    if (edge === undefined) throw new Error(`Cannot add ${op}: it has no output`);
    return edge;
  }

  /** A value under the name of an output. */
  output(name: string, edge: Edge): Edge {
    const outputs: Edge[] = [];
    const node: Node = { op: "Identity", domain: "", inputs: [edge], attributes: {}, outputs };
    const output: Edge = { name, type: edge.type, dims: edge.dims, node };
    outputs.push(output);
    this.#nodes.push(node);
    return output;
  }

  /** A node with any number of outputs. */
  nodes(
    op: string,
    inputs: readonly (Edge | undefined)[],
    forms: readonly Form[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): readonly Edge[] {
    const key = JSON.stringify([op, domain, inputs.map((edge) => edge?.name), attributes]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const outputs: Edge[] = [];
    const node: Node = { op, domain, inputs, attributes, outputs };
    for (const { type, dims } of forms) outputs.push({ name: this.#name(), type, dims, node });
    this.#nodes.push(node);
    this.#known.set(key, outputs);
    return outputs;
  }

  /** The same elements in the same order under other dimensions. */
  reshape(edge: Edge, dims: readonly number[]): Edge {
    if (equal(edge.dims, dims)) return edge;
    const { source, node } = edge;
    if (source?.kind === "data") return this.constant(edge.type, dims, source.data);
    if (source !== undefined) {
      return this.initializer(edge.name.replace(/\|.*/, ""), edge.type, dims, source);
    }
    const inner = node?.op === "Reshape" ? node.inputs[0] : undefined;
    if (inner !== undefined) return this.reshape(inner, dims);
    return this.node("Reshape", [edge, this.integers(dims)], { type: edge.type, dims });
  }

  /** Axis `order[i]` becomes axis `i`. */
  transpose(edge: Edge, order: readonly number[]): Edge {
    if (order.every((axis, index) => axis === index)) return edge;
    const dims = order.map((axis) => edge.dims[axis] ?? 1);
    const inner = edge.node?.op === "Transpose" ? edge.node.inputs[0] : undefined;
    const first = edge.node?.attributes.perm;
    if (inner !== undefined && Array.isArray(first)) {
      return this.transpose(inner, order.map((axis) => first[axis] ?? axis));
    }
    return this.node("Transpose", [edge], { type: edge.type, dims }, { perm: order });
  }

  /** What the outputs depend on. */
  model(outputs: readonly Edge[]): Model {
    const live = new Set<Node>();
    const initializers = new Set<Edge>();
    const pending: Edge[] = [...outputs];
    for (let edge = pending.pop(); edge !== undefined; edge = pending.pop()) {
      if (edge.source !== undefined) initializers.add(edge);
      if (edge.node === undefined || live.has(edge.node)) continue;
      live.add(edge.node);
      for (const input of edge.node.inputs) if (input !== undefined) pending.push(input);
    }
    return {
      inputs: this.inputs,
      outputs,
      nodes: this.#nodes.filter((node) => live.has(node)),
      initializers: [...initializers],
    };
  }
}

/** True where two lists of numbers are the same. */
export function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** The number of elements. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}
