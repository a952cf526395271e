/**
 * Kernels that work on each element by itself.
 *
 * @module
 */
import type { Attribute, Graph } from "../graph.ts";
import type { Call, Kernel, Kernels } from "../kernel.ts";
import { elementwise, filled, uniformOf, type Value } from "../value.ts";
import { add, binary, cast, compare, div, like, mul, select, sub, toFloat } from "./arithmetic.ts";

/** A function of one value that ONNX has too. */
function unary(op: string, attributes?: (call: Call) => Record<string, Attribute>): Kernel {
  return (call) => {
    const [x] = call.inputs;
    if (x === undefined) throw new Error(`Cannot trace ${op}: it has no input`);
    return elementwise(call.graph, op, [x], x.edge.type, attributes?.(call));
  };
}

/** The same for functions that only float32 has. */
function floating(op: string): Kernel {
  return ({ graph, inputs: [x] }) => {
    if (x === undefined) throw new Error(`Cannot trace ${op}: it has no input`);
    return elementwise(graph, op, [toFloat(graph, x)], "float32");
  };
}

/** A function of one value composed of others. */
function composed(build: (graph: Graph, x: Value, call: Call) => Value): Kernel {
  return (call) => build(call.graph, call.input("x"), call);
}

/** A function of two values that broadcast. */
function two(build: (graph: Graph, a: Value, b: Value) => Value): Kernel {
  return ({ graph, input }) => build(graph, input("a"), input("b"));
}

const operation = (op: string): Kernel => two((graph, a, b) => binary(graph, op, a, b));
const comparison = (op: string): Kernel => two((graph, a, b) => compare(graph, op, a, b));

/** As an integer, as tfjs has it. */
function floorDiv(graph: Graph, a: Value, b: Value): Value {
  // ONNX rounds quotients of integers towards zero; doubles hold every int32.
  const type = a.edge.type === "float32" ? "float32" : "float64";
  const quotient = elementwise(graph, "Div", [cast(graph, a, type), cast(graph, b, type)]);
  return cast(graph, elementwise(graph, "Floor", [quotient]), "int32");
}

/** With the sign of the divisor. */
function modulo(graph: Graph, a: Value, b: Value): Value {
  if (a.edge.type === "int32") return elementwise(graph, "Mod", [a, b]);
  const whole = elementwise(graph, "Floor", [div(graph, a, b)]);
  return sub(graph, a, mul(graph, whole, b));
}

/** 1 where x is above 0, `below` elsewhere. */
function step(graph: Graph, x: Value, below: number): Value {
  const above = compare(graph, "Greater", x, like(graph, x, 0));
  if (below === 0) return cast(graph, above, x.edge.type);
  return select(graph, above, like(graph, x, 1), like(graph, x, below));
}

function clip(graph: Graph, x: Value, low: number, high: number): Value {
  const low32 = like(graph, x, low);
  const high32 = like(graph, x, high);
  return elementwise(graph, "Clip", [x, low32, high32], x.edge.type);
}

function constantOfShape(number: number): Kernel {
  return ({ graph, input }) => filled(graph, input("x").edge.type, input("x").shape, number);
}

/** x to a power; small whole powers are products, which are faster and exact. */
function power(graph: Graph, x: Value, exponent: Value): Value {
  const number = uniformOf(exponent);
  if (exponent.shape.length <= x.shape.length && x.edge.type === "float32") {
    if (number === 0.5) return elementwise(graph, "Sqrt", [x]);
    if (number === 2) return mul(graph, x, x);
    if (number === 3) return mul(graph, mul(graph, x, x), x);
    if (number === 1.5) return mul(graph, x, elementwise(graph, "Sqrt", [x]));
  }
  return binary(graph, "Pow", x, exponent);
}

/** One of the activations that tfjs fuses into other kernels. */
export function activate(
  graph: Graph,
  x: Value,
  name: string,
  alpha: number,
  slopes: Value | undefined,
): Value {
  switch (name) {
    case "linear":
      return x;
    case "relu":
      return elementwise(graph, "Relu", [x]);
    case "relu6":
      return clip(graph, x, 0, 6);
    case "elu":
      return elementwise(graph, "Elu", [x]);
    case "sigmoid":
      return elementwise(graph, "Sigmoid", [x]);
    case "leakyrelu":
      return elementwise(graph, "LeakyRelu", [x], "float32", { alpha: { float: alpha } });
    case "prelu":
      if (slopes !== undefined) return prelu(graph, x, slopes);
  }
  throw new Error(`Cannot trace the activation "${name}"`);
}

function prelu(graph: Graph, x: Value, slopes: Value): Value {
  return select(graph, compare(graph, "Less", x, like(graph, x, 0)), mul(graph, x, slopes), x);
}

/** Kernels by element. */
export const ELEMENTWISE: Kernels = {
  Identity: ({ input }) => input("x"),
  Abs: unary("Abs"),
  Ceil: unary("Ceil"),
  Floor: unary("Floor"),
  Neg: unary("Neg"),
  Relu: unary("Relu"),
  Round: unary("Round"),
  Sign: unary("Sign"),
  LogicalNot: unary("Not"),
  IsNan: ({ graph, input }) => elementwise(graph, "IsNaN", [toFloat(graph, input("x"))], "bool"),
  IsInf: ({ graph, input }) => elementwise(graph, "IsInf", [toFloat(graph, input("x"))], "bool"),
  IsFinite: ({ graph, input }) => {
    const x = toFloat(graph, input("x"));
    const infinite = elementwise(graph, "IsInf", [x], "bool");
    const nothing = elementwise(graph, "IsNaN", [x], "bool");
    return elementwise(graph, "Not", [elementwise(graph, "Or", [infinite, nothing])]);
  },
  LeakyRelu: unary("LeakyRelu", ({ attributes }) => ({
    alpha: { float: attributes.number("alpha", 0.2) },
  })),
  Elu: floating("Elu"),
  Selu: floating("Selu"),
  Acos: floating("Acos"),
  Acosh: floating("Acosh"),
  Asin: floating("Asin"),
  Asinh: floating("Asinh"),
  Atan: floating("Atan"),
  Atanh: floating("Atanh"),
  Cos: floating("Cos"),
  Cosh: floating("Cosh"),
  Erf: floating("Erf"),
  Exp: floating("Exp"),
  Gelu: floating("Gelu"), // by the error function; a kernel that tfjs itself does not have
  Log: floating("Log"),
  Reciprocal: floating("Reciprocal"),
  Sigmoid: floating("Sigmoid"),
  Sin: floating("Sin"),
  Sinh: floating("Sinh"),
  Softplus: floating("Softplus"),
  Sqrt: floating("Sqrt"),
  Tan: floating("Tan"),
  Tanh: floating("Tanh"),
  Square: composed((graph, x) => mul(graph, x, x)),
  Rsqrt: composed((graph, x) =>
    elementwise(graph, "Reciprocal", [elementwise(graph, "Sqrt", [toFloat(graph, x)])])
  ),
  Expm1: composed((graph, x) =>
    sub(graph, elementwise(graph, "Exp", [toFloat(graph, x)]), filled(graph, "float32", [], 1))
  ),
  Log1p: composed((graph, x) =>
    elementwise(graph, "Log", [add(graph, toFloat(graph, x), filled(graph, "float32", [], 1))])
  ),
  Relu6: composed((graph, x) => clip(graph, x, 0, 6)),
  Step: composed((graph, x, { attributes }) => step(graph, x, attributes.number("alpha", 0))),
  ClipByValue: composed((graph, x, { attributes }) =>
    clip(graph, x, attributes.number("clipValueMin"), attributes.number("clipValueMax"))
  ),
  Cast: composed((graph, x, { attributes }) => {
    const dtype = attributes.text("dtype");
    if (dtype === "float32" || dtype === "int32" || dtype === "bool") return cast(graph, x, dtype);
    throw new Error(`Cannot trace a cast to ${dtype}`);
  }),
  Prelu: composed((graph, x, { input }) => prelu(graph, x, input("alpha"))),
  EluGrad: ({ graph, input }) => {
    const [dy, y] = [input("dy"), input("y")];
    const below = mul(graph, dy, add(graph, y, like(graph, y, 1)));
    return select(graph, compare(graph, "GreaterOrEqual", y, like(graph, y, 0)), dy, below);
  },
  OnesLike: constantOfShape(1),
  ZerosLike: constantOfShape(0),
  Add: operation("Add"),
  Sub: operation("Sub"),
  Multiply: operation("Mul"),
  RealDiv: operation("Div"),
  Maximum: operation("Max"),
  Minimum: operation("Min"),
  Pow: two(power),
  FloorDiv: two(floorDiv),
  Mod: two(modulo),
  SquaredDifference: two((graph, a, b) => {
    const difference = sub(graph, a, b);
    return mul(graph, difference, difference);
  }),
  AddN: ({ graph, inputs }) => inputs.reduce((sum, x) => add(graph, sum, x)),
  Equal: comparison("Equal"),
  NotEqual: two((graph, a, b) => elementwise(graph, "Not", [compare(graph, "Equal", a, b)])),
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  LogicalAnd: comparison("And"),
  LogicalOr: comparison("Or"),
  LogicalXor: comparison("Xor"),
  Select: ({ graph, input }) => select(graph, input("condition"), input("t"), input("e")),
};
