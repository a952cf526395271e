/**
 * Kernels that reduce along axes, or work along one.
 *
 * @module
 */
import { type ElementType, type Graph, sizeOf } from "../graph.ts";
import type { Call, Kernel, Kernels } from "../kernel.ts";
import { constant, full, natural, type Value, value } from "../value.ts";
import { cast, like, mul, toFloat } from "./arithmetic.ts";

/** Reduces along axes, in the order in which the value is stored. */
export function reduce(
  graph: Graph,
  op: string,
  x: Value,
  axes: readonly number[],
  keepDims: boolean,
): Value {
  const repeated = axes.filter((axis) => x.dims[axis] === 1);
  const rest = axes.filter((axis) => x.dims[axis] !== 1);
  // Along an axis on which it repeats, a sum is a product and a mean is the value itself.
  const count = sizeOf(repeated.map((axis) => x.shape[axis] ?? 1));
  if (op === "ReduceProd" && count !== 1) return reduce(graph, op, full(graph, x), axes, keepDims);
  const dims = x.dims.map((size, axis) => axes.includes(axis) ? 1 : size);
  const shape = x.shape.map((size, axis) => axes.includes(axis) ? 1 : size);
  let edge = x.edge;
  if (rest.length > 0) {
    const at = rest.map((axis) => x.order.indexOf(axis)).sort((a, b) => a - b);
    const form = { type: edge.type, dims: x.order.map((axis) => dims[axis] ?? 1) };
    edge = graph.node(op, [edge, graph.integers(at)], form, { keepdims: 1 });
  }
  let y = value(edge, shape, x.order, dims);
  if (op === "ReduceSum" && count !== 1) y = mul(graph, y, like(graph, y, count));
  return keepDims ? y : drop(graph, y, axes);
}

/** Without axes of size 1. */
export function drop(graph: Graph, x: Value, axes: readonly number[]): Value {
  const left = natural(x.shape.length).filter((axis) => !axes.includes(axis));
  const order = x.order.filter((axis) => !axes.includes(axis));
  const dims = left.map((axis) => x.dims[axis] ?? 1);
  const shape = left.map((axis) => x.shape[axis] ?? 1);
  const edge = graph.reshape(x.edge, order.map((axis) => x.dims[axis] ?? 1));
  return value(edge, shape, order.map((axis) => left.indexOf(axis)), dims);
}

function reduction(op: string, axisName = "axis", type?: ElementType): Kernel {
  return ({ graph, input, attributes }) => {
    const x = input("x");
    const axes = attributes.axes(axisName, x.shape.length);
    const keepDims = attributes.flag("keepDims");
    if (type === undefined) return reduce(graph, op, x, axes, keepDims);
    return cast(graph, reduce(graph, op, cast(graph, x, type), axes, keepDims), x.edge.type);
  };
}

/** The position of the largest or smallest element. */
function position(op: string): Kernel {
  return ({ graph, input, attributes }) => {
    const x = full(graph, input("x"));
    const [axis = 0] = attributes.axes("axis", x.shape.length);
    const shape = x.shape.map((size, other) => other === axis ? 1 : size);
    const form = { type: "int64", dims: x.order.map((axis) => shape[axis] ?? 1) } as const;
    const edge = graph.node(op, [x.edge], form, { axis: x.order.indexOf(axis), keepdims: 1 });
    return drop(graph, cast(graph, value(edge, shape, x.order), "int32"), [axis]);
  };
}

/** A kernel whose result has its input's form and that works along one axis. */
function along(op: string, inputName: string, axisName: string): Kernel {
  return ({ graph, input, attributes }) => {
    const x = full(graph, toFloat(graph, input(inputName)));
    const rank = x.shape.length;
    const axis = attributes.number(axisName, -1);
    const form = { type: x.edge.type, dims: x.edge.dims };
    const at = x.order.indexOf(axis < 0 ? axis + rank : axis);
    return value(graph.node(op, [x.edge], form, { axis: at }), x.shape, x.order);
  };
}

function cumulate({ graph, input, attributes }: Call): Value {
  const x = full(graph, input("x"));
  const axis = x.order.indexOf(attributes.axes("axis", x.shape.length)[0] ?? 0);
  const edge = graph.node("CumSum", [
    x.edge,
    graph.constant("int64", [], BigInt64Array.of(BigInt(axis))),
  ], {
    type: x.edge.type,
    dims: x.edge.dims,
  }, {
    exclusive: attributes.flag("exclusive") ? 1 : 0,
    reverse: attributes.flag("reverse") ? 1 : 0,
  });
  return value(edge, x.shape, x.order);
}

function largest({ graph, input, attributes }: Call): Value[] {
  const x = full(graph, input("x"));
  const last = x.shape.length - 1;
  const count = attributes.number("k");
  const shape = x.shape.map((size, axis) => axis === last ? count : size);
  const dims = x.order.map((axis) => shape[axis] ?? 1);
  const [values, indices] = graph.nodes(
    "TopK",
    [x.edge, graph.integers([count])],
    [{ type: x.edge.type, dims }, { type: "int64", dims }],
    { axis: x.order.indexOf(last), sorted: 1 },
  );
  if (values === undefined || indices === undefined) throw new Error("Cannot trace TopK");
  return [
    value(values, shape, x.order),
    cast(graph, value(indices, shape, x.order), "int32"),
  ];
}

/** Kernels along axes. */
export const REDUCTION: Kernels = {
  Sum: reduction("ReduceSum"),
  Mean: ({ graph, input, attributes }) => {
    const x = toFloat(graph, input("x"));
    const axes = attributes.axes("axis", x.shape.length);
    return reduce(graph, "ReduceMean", x, axes, attributes.flag("keepDims"));
  },
  Prod: reduction("ReduceProd"),
  Max: reduction("ReduceMax", "reductionIndices"),
  Min: reduction("ReduceMin"),
  All: reduction("ReduceMin", "axis", "int32"),
  Any: reduction("ReduceMax", "axis", "int32"),
  ArgMax: position("ArgMax"),
  ArgMin: position("ArgMin"),
  Softmax: along("Softmax", "logits", "dim"),
  LogSoftmax: along("LogSoftmax", "logits", "axis"),
  Cumsum: cumulate,
  TopK: largest,
  Range: ({ graph, attributes }) => {
    const [start, stop] = [attributes.number("start"), attributes.number("stop")];
    const step = attributes.number("step");
    const count = Math.max(0, Math.ceil((stop - start) / step));
    const type = attributes.text("dtype", "float32") === "int32" ? "int32" : "float32";
    return constant(
      graph,
      type,
      [count],
      Array.from({ length: count }, (_, i) => start + i * step),
    );
  },
  LinSpace: ({ graph, attributes }) => {
    const [start, stop] = [attributes.number("start"), attributes.number("stop")];
    const count = attributes.number("num");
    const step = count > 1 ? (stop - start) / (count - 1) : 0;
    return constant(
      graph,
      "float32",
      [count],
      Array.from({ length: count }, (_, i) => start + i * step),
    );
  },
};
