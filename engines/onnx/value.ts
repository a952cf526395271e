/**
 * Symbolic values: what a traced tensor is in the graph.
 *
 * A value remembers the order in which its axes are stored, so that a convolution's result, which
 * ONNX keeps channels first, flows on as it is and is transposed only where an operation needs the
 * other order. Axes along which a value merely repeats are stored with size 1.
 *
 * @module
 */
import type { DataType } from "tfjs";
import {
  type Attribute,
  type ConstantData,
  type Edge,
  type ElementType,
  equal,
  type Graph,
  sizeOf,
} from "./graph.ts";

/** A tensor during tracing. */
export interface Value {
  /** The shape that tfjs sees. */
  readonly shape: readonly number[];
  /** The size of each axis as stored: its size in `shape`, or 1 where the value repeats. */
  readonly dims: readonly number[];
  /** The axes in the order in which they are stored. */
  readonly order: readonly number[];
  readonly edge: Edge;
}

/** Channels first, of `[batch, height, width, channel]`. */
export const CHANNELS_FIRST: readonly number[] = [0, 3, 1, 2];

/** 0, 1, 2, … */
export function natural(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis);
}

/** A value over an edge; by default stored as it is seen. */
export function value(
  edge: Edge,
  shape: readonly number[] = edge.dims,
  order: readonly number[] = natural(shape.length),
  dims: readonly number[] = shape,
): Value {
  return { shape, dims, order, edge };
}

/** The element type of a tfjs type. */
export function elementType(dtype: DataType): ElementType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new Error(`Cannot trace a tensor of type ${dtype}`);
}

/** The tfjs type of an element type. */
export function dataType(type: ElementType): "float32" | "int32" | "bool" {
  return type === "int32" || type === "bool" ? type : "float32";
}

/** Its values where the value is a constant. */
export function constantOf(value: Value): ConstantData | undefined {
  const { source } = value.edge;
  return source?.kind === "data" ? source.data : undefined;
}

/** The number that all its elements are, if it is such a constant. */
export function uniformOf(value: Value): number | undefined {
  const data = constantOf(value);
  return data?.length === 1 ? Number(data[0]) : undefined;
}

/** Values as ONNX wants them. */
export function dataOf(type: ElementType, values: ArrayLike<number>): ConstantData {
  if (type === "int32") return Int32Array.from(values);
  if (type === "bool" || type === "uint8") return Uint8Array.from(values);
  return Float32Array.from(values);
}

/** A constant; one number for all its elements is stored once. */
export function constant(
  graph: Graph,
  type: ElementType,
  shape: readonly number[],
  values: ArrayLike<number>,
): Value {
  const first = values[0] ?? 0;
  let uniform = values.length > 0;
  for (let index = 1; index < values.length && uniform; index++) {
    uniform = Object.is(values[index], first);
  }
  if (!uniform) return value(graph.constant(type, shape, dataOf(type, values)), shape);
  const dims = shape.map(() => 1);
  const edge = graph.constant(type, dims, dataOf(type, [first]));
  return value(edge, shape, natural(shape.length), dims);
}

/** One number everywhere. */
export function filled(
  graph: Graph,
  type: ElementType,
  shape: readonly number[],
  number: number,
): Value {
  if (sizeOf(shape) === 0) return value(graph.constant(type, shape, dataOf(type, [])), shape);
  return constant(graph, type, shape, [number]);
}

/** The value with every repetition written out. */
export function full(graph: Graph, x: Value): Value {
  if (equal(x.dims, x.shape)) return x;
  return value(stored(graph, x, x.order), x.shape, x.order);
}

/** The stored elements in another order of axes; repeated axes stay of size 1. */
export function arrange(graph: Graph, x: Value, order: readonly number[]): Edge {
  const dims = order.map((axis) => x.dims[axis] ?? 1);
  const wide = (axis: number) => x.dims[axis] !== 1;
  // Axes of size 1 may stand anywhere.
  if (equal(x.order.filter(wide), order.filter(wide))) return graph.reshape(x.edge, dims);
  return graph.transpose(x.edge, order.map((axis) => x.order.indexOf(axis)));
}

/** All elements, stored in that order of axes. */
export function stored(graph: Graph, x: Value, order: readonly number[]): Edge {
  const edge = arrange(graph, x, order); // before repetitions are written out, while it is small
  const dims = order.map((axis) => x.shape[axis] ?? 1);
  if (equal(edge.dims, dims)) return edge;
  return graph.node("Expand", [edge, graph.integers(dims)], { type: edge.type, dims });
}

/** All elements in tfjs's own order. */
export function plain(graph: Graph, x: Value): Edge {
  return stored(graph, x, natural(x.shape.length));
}

/** The same value with axes of size 1 in front, up to that rank. */
export function widen(graph: Graph, x: Value, rank: number): Value {
  const extra = rank - x.shape.length;
  if (extra <= 0) return x;
  const ones = Array.from({ length: extra }, () => 1);
  const order = [...natural(extra), ...x.order.map((axis) => axis + extra)];
  const dims = [...ones, ...x.dims];
  const edge = graph.reshape(x.edge, order.map((axis) => dims[axis] ?? 1));
  return value(edge, [...ones, ...x.shape], order, dims);
}

/** True where the value is stored as tfjs sees it. */
function isPlain(x: Value): boolean {
  const wide = x.order.filter((axis) => x.dims[axis] !== 1);
  return wide.every((axis, index) => index === 0 || axis > (wide[index - 1] ?? -1));
}

/** Values of one rank in one common order of axes, the one that moves the fewest elements. */
export function align(
  graph: Graph,
  values: readonly Value[],
): { order: readonly number[]; edges: Edge[] } {
  let best: Value | undefined;
  for (const x of values) {
    const larger = sizeOf(x.dims) - sizeOf(best?.dims ?? []);
    // Equal ones: channels first is what the next convolution wants; constants move for free.
    const better = larger === 0 && !isPlain(x) && x.edge.source === undefined;
    if (best === undefined || larger > 0 || better) best = x;
  }
  const order = best?.order ?? [];
  return { order, edges: values.map((x) => arrange(graph, x, order)) };
}

/** The shape that two shapes broadcast to. */
export function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return natural(rank).map((axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new Error(`Cannot broadcast [${a.join(", ")}] with [${b.join(", ")}]`);
    }
    return left === 1 ? right : left;
  });
}

/** An operation on each element of values that broadcast against each other. */
export function elementwise(
  graph: Graph,
  op: string,
  inputs: readonly Value[],
  type: ElementType = inputs[0]?.edge.type ?? "float32",
  attributes: Readonly<Record<string, Attribute>> = {},
): Value {
  const shape = inputs.map((x) => x.shape).reduce(broadcast);
  const wide = inputs.map((x) => widen(graph, x, shape.length));
  const dims = wide.map((x) => x.dims).reduce(broadcast);
  const { order, edges: aligned } = align(graph, wide);
  // A number for all elements goes in without axes, as ONNX Runtime's fusions expect it.
  const numbers = wide.map((x) => uniformOf(x) !== undefined);
  const some = numbers.includes(false);
  const edges = aligned.map((edge, index) =>
    some && numbers[index] ? graph.reshape(edge, []) : edge
  );
  const form = { type, dims: order.map((axis) => dims[axis] ?? 1) };
  return value(graph.node(op, edges, form, attributes), shape, order, dims);
}

/**
 * Other dimensions for the same elements. Axes that are split or joined stay where they are stored;
 * only a join of axes that are not stored side by side needs a transpose.
 */
export function reshape(graph: Graph, x: Value, shape: readonly number[]): Value {
  if (equal(x.shape, shape)) return x;
  if (x.dims.every((size) => size === 1) && sizeOf(shape) > 0) {
    const dims = shape.map(() => 1);
    return value(graph.reshape(x.edge, dims), shape, natural(shape.length), dims);
  }
  const groups = sizeOf(shape) === 0 ? undefined : groupAxes(x.shape, shape);
  const order = groups === undefined ? undefined : followGroups(x, groups);
  if (groups === undefined || order === undefined) {
    return value(graph.reshape(plain(graph, x), shape), shape);
  }
  // A group that only repeats stays so; one that repeats in part is written out.
  const repeats = (group: Group) => group.from.every((axis) => x.dims[axis] === 1);
  const partly = groups.some((group) =>
    !repeats(group) && group.from.some((axis) => x.dims[axis] !== x.shape[axis])
  );
  if (partly) return reshape(graph, full(graph, x), shape);
  const dims = [...shape];
  for (const group of groups) {
    if (repeats(group)) { for (const axis of group.to) dims[axis] = 1; }
  }
  const edge = graph.reshape(x.edge, order.map((axis) => dims[axis] ?? 1));
  return value(edge, shape, order, dims);
}

interface Group {
  /** Neighbouring axes of the old shape. */
  readonly from: readonly number[];
  /** The axes of the new shape that hold the same elements. */
  readonly to: readonly number[];
}

/** The smallest runs of axes of two shapes that have equal products. */
function groupAxes(from: readonly number[], to: readonly number[]): Group[] {
  const groups: Group[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    const axes: { from: number[]; to: number[] } = { from: [], to: [] };
    let [left, right] = [1, 1];
    do {
      if (i < from.length && (left <= right || j >= to.length)) {
        left *= from[i] ?? 1;
        axes.from.push(i++);
      } else {
        right *= to[j] ?? 1;
        axes.to.push(j++);
      }
    } while (left !== right && (i < from.length || j < to.length));
    groups.push(axes);
  }
  return groups;
}

/** The order of the new axes in storage, or nothing where a group's axes are not side by side. */
function followGroups(x: Value, groups: readonly Group[]): number[] | undefined {
  const wide = x.order.filter((axis) => x.shape[axis] !== 1);
  const starts = groups.map((group) => {
    const axes = group.from.filter((axis) => x.shape[axis] !== 1);
    const start = axes.length === 0 ? -1 : wide.indexOf(axes[0] ?? -1);
    return { group, start, inOrder: axes.every((axis, index) => wide[start + index] === axis) };
  });
  if (starts.some(({ inOrder }) => !inOrder)) return undefined;
  starts.sort((a, b) => a.start - b.start);
  return starts.flatMap(({ group }) => group.to);
}
