/**
 * Arithmetic on values, with what is known of constants worked out at once.
 *
 * @module
 */
import { ELEMENT, type ElementType, equal, type Graph } from "../graph.ts";
import {
  broadcast,
  constantOf,
  dataOf,
  elementwise,
  filled,
  uniformOf,
  type Value,
  value,
  widen,
} from "../value.ts";

type Fold = (a: number, b: number) => number;

const FOLDS: Readonly<Record<string, Fold>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
};

// The second operand that changes nothing.
const NEUTRAL: Readonly<Record<string, number>> = { Add: 0, Sub: 0, Mul: 1, Div: 1, Pow: 1 };

/** Repeats a value up to a shape, in name only. */
export function repeatTo(graph: Graph, x: Value, shape: readonly number[]): Value {
  const wide = widen(graph, x, shape.length);
  return equal(wide.shape, shape) ? wide : value(wide.edge, shape, wide.order, wide.dims);
}

/** A binary operation that broadcasts, on two values of one type. */
export function binary(graph: Graph, op: string, a: Value, b: Value): Value {
  const [left, right] = [uniformOf(a), uniformOf(b)];
  const { type } = a.edge;
  const fold = FOLDS[op];
  if (left !== undefined && right !== undefined && fold !== undefined && type === "float32") {
    const shape = broadcast(a.shape, b.shape);
    return filled(graph, type, shape, Math.fround(fold(left, right)));
  }
  if (right !== undefined && right === NEUTRAL[op]) {
    return repeatTo(graph, a, broadcast(a.shape, b.shape));
  }
  if (left !== undefined && left === NEUTRAL[op] && (op === "Add" || op === "Mul")) {
    return repeatTo(graph, b, broadcast(a.shape, b.shape));
  }
  return elementwise(graph, op, [a, b], type);
}

export const add = (graph: Graph, a: Value, b: Value): Value => binary(graph, "Add", a, b);
export const sub = (graph: Graph, a: Value, b: Value): Value => binary(graph, "Sub", a, b);
export const mul = (graph: Graph, a: Value, b: Value): Value => binary(graph, "Mul", a, b);
export const div = (graph: Graph, a: Value, b: Value): Value => binary(graph, "Div", a, b);

/** A number as a value of the type of another. */
export function like(graph: Graph, x: Value, number: number): Value {
  return filled(graph, x.edge.type, [], number);
}

/** Another element type. */
export function cast(graph: Graph, x: Value, type: ElementType): Value {
  if (x.edge.type === type) return x;
  const data = constantOf(x);
  const plain = type === "float32" || type === "int32" || type === "bool";
  if (plain && data !== undefined && !(data instanceof BigInt64Array)) {
    const items = type === "bool" ? Array.from(data, (item) => item === 0 ? 0 : 1) : data;
    const edge = graph.constant(type, x.edge.dims, dataOf(type, items));
    return value(edge, x.shape, x.order, x.dims);
  }
  return elementwise(graph, "Cast", [x], type, { to: ELEMENT[type] });
}

/** As float32. */
export function toFloat(graph: Graph, x: Value): Value {
  return cast(graph, x, "float32");
}

/** `condition ? yes : no`, by element. */
export function select(graph: Graph, condition: Value, yes: Value, no: Value): Value {
  return elementwise(graph, "Where", [condition, yes, no], yes.edge.type);
}

/** A comparison. */
export function compare(graph: Graph, op: string, a: Value, b: Value): Value {
  return elementwise(graph, op, [a, b], "bool");
}
