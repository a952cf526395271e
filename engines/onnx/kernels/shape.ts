/**
 * Kernels that move elements without computing with them.
 *
 * @module
 */
import { slice_util } from "tfjs";
import { type ElementType, type Graph, sizeOf } from "../graph.ts";
import type { Call, Kernels } from "../kernel.ts";
import {
  align,
  constant,
  elementwise,
  filled,
  full,
  natural,
  plain,
  reshape,
  type Value,
  value,
} from "../value.ts";
import { cast, repeatTo, select, toFloat } from "./arithmetic.ts";

const BEFORE_FIRST = -(2 ** 31); // where a backward slice ends when it takes the first element

/** Values behind each other along an axis. */
export function concat(graph: Graph, inputs: readonly Value[], axis: number): Value {
  const [first, ...rest] = inputs;
  if (first === undefined) throw new Error("Cannot trace Concat: it has no input");
  if (rest.length === 0) return first;
  const { order, edges } = align(graph, inputs.map((x) => full(graph, x)));
  const size = inputs.reduce((sum, x) => sum + (x.shape[axis] ?? 0), 0);
  const shape = first.shape.map((other, at) => at === axis ? size : other);
  const form = { type: first.edge.type, dims: order.map((axis) => shape[axis] ?? 1) };
  const some = edges.filter((_, index) => inputs[index]?.shape[axis] !== 0);
  if (some.length === 1 && some[0] !== undefined) return value(some[0], shape, order);
  return value(graph.node("Concat", some, form, { axis: order.indexOf(axis) }), shape, order);
}

/** The part of a value from `begin` to `end`, in steps, by axis. */
export function slice(
  graph: Graph,
  x: Value,
  begin: readonly number[],
  end: readonly number[],
  steps: readonly number[] = x.shape.map(() => 1),
): Value {
  const sizes = x.shape.map((_, axis) => {
    const [from = 0, to = 0, step = 1] = [begin[axis], end[axis], steps[axis]];
    return Math.max(0, Math.ceil((to - from) / step));
  });
  const cut = natural(x.shape.length).filter((axis) =>
    x.dims[axis] !== 1 && (sizes[axis] !== x.shape[axis] || steps[axis] !== 1)
  );
  const dims = x.dims.map((size, axis) => size === 1 ? 1 : sizes[axis] ?? 1);
  if (sizes.includes(0)) return filled(graph, x.edge.type, sizes, 0);
  if (cut.length === 0) return value(x.edge, sizes, x.order, dims);
  const list = (values: readonly number[]) => graph.integers(cut.map((axis) => values[axis] ?? 0));
  const ends = end.map((to, axis) => to < 0 && (steps[axis] ?? 1) < 0 ? BEFORE_FIRST : to);
  const at = graph.integers(cut.map((axis) => x.order.indexOf(axis)));
  const form = { type: x.edge.type, dims: x.order.map((axis) => dims[axis] ?? 1) };
  const edge = graph.node("Slice", [x.edge, list(begin), list(ends), at, list(steps)], form);
  return value(edge, sizes, x.order, dims);
}

/** Parts of a value along an axis. */
function split(graph: Graph, x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  if (sizes.length === 1) return [x];
  if (x.dims[axis] === 1 || sizes.includes(0)) {
    let from = 0;
    return sizes.map((size) => {
      const begin = x.shape.map((_, at) => at === axis ? from : 0);
      const end = x.shape.map((other, at) => at === axis ? from + size : other);
      from += size;
      return slice(graph, x, begin, end);
    });
  }
  const shapes = sizes.map((size) => x.shape.map((other, at) => at === axis ? size : other));
  const dims = sizes.map((size) => x.dims.map((other, at) => at === axis ? size : other));
  const forms = dims.map((dims) => ({
    type: x.edge.type,
    dims: x.order.map((axis) => dims[axis] ?? 1),
  }));
  const inputs = [x.edge, graph.integers(sizes)];
  const edges = graph.nodes("Split", inputs, forms, { axis: x.order.indexOf(axis) });
  return edges.map((edge, index) => value(edge, shapes[index], x.order, dims[index]));
}

/** Elements around a value: a constant or its own, mirrored. */
export function pad(
  graph: Graph,
  input: Value,
  paddings: readonly (readonly [number, number])[],
  mode: "constant" | "reflect",
  number = 0,
): Value {
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return input;
  const x = full(graph, input);
  const shape = x.shape.map((size, axis) =>
    size + (paddings[axis]?.[0] ?? 0) + (paddings[axis]?.[1] ?? 0)
  );
  const pads = [0, 1].flatMap((side) => x.order.map((axis) => paddings[axis]?.[side] ?? 0));
  const fill = graph.constant(
    x.edge.type,
    [],
    x.edge.type === "int32" ? Int32Array.of(number) : Float32Array.of(number),
  );
  const form = { type: x.edge.type, dims: x.order.map((axis) => shape[axis] ?? 1) };
  const inputs = [x.edge, graph.integers(pads), ...mode === "constant" ? [fill] : []];
  return value(graph.node("Pad", inputs, form, { mode }), shape, x.order);
}

/** Mirrors with the edge repeated, which ONNX has no mode for: edge rows are put back by hand. */
function symmetricPad(graph: Graph, x: Value, paddings: readonly (readonly [number, number])[]) {
  return paddings.reduce((x, [before, after], axis) => {
    const size = x.shape[axis] ?? 1;
    const part = (from: number, to: number) => {
      const begin = x.shape.map((_, at) => at === axis ? to - 1 : 0);
      const end = x.shape.map((other, at) => at === axis ? from - 1 : other);
      return slice(graph, x, begin, end, x.shape.map((_, at) => at === axis ? -1 : 1));
    };
    const parts = [
      ...before > 0 ? [part(0, before)] : [],
      x,
      ...after > 0 ? [part(size - after, size)] : [],
    ];
    return concat(graph, parts, axis);
  }, x);
}

function tile(graph: Graph, x: Value, repeats: readonly number[]): Value {
  const shape = x.shape.map((size, axis) => size * (repeats[axis] ?? 1));
  const written = x.shape.map((_, axis) => x.dims[axis] === 1 ? 1 : repeats[axis] ?? 1);
  const dims = x.dims.map((size, axis) => size * (written[axis] ?? 1));
  if (written.every((count) => count === 1)) return value(x.edge, shape, x.order, dims);
  // What repeats along the tiled axis must be there once.
  const partly = x.dims.some((size, axis) => size !== x.shape[axis] && written[axis] !== 1);
  if (partly) return tile(graph, full(graph, x), repeats);
  const form = { type: x.edge.type, dims: x.order.map((axis) => dims[axis] ?? 1) };
  const counts = graph.integers(x.order.map((axis) => written[axis] ?? 1));
  return value(graph.node("Tile", [x.edge, counts], form), shape, x.order, dims);
}

function gather({ graph, input, attributes }: Call): Value {
  const [x, indices] = [input("x"), input("indices")];
  const axis = attributes.axes("axis", x.shape.length)[0] ?? 0;
  if (attributes.number("batchDims", 0) !== 0) {
    throw new Error("Cannot trace GatherV2: batchDims other than 0 are not supported");
  }
  const { type } = x.edge;
  const rows = plain(graph, indices);
  if (indices.shape.length === 1) {
    const wide = full(graph, x);
    const shape = x.shape.map((size, at) => at === axis ? indices.shape[0] ?? 0 : size);
    const form = { type, dims: wide.order.map((axis) => shape[axis] ?? 1) };
    const at = wide.order.indexOf(axis);
    return value(graph.node("Gather", [wide.edge, rows], form, { axis: at }), shape, wide.order);
  }
  const dims = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  return value(graph.node("Gather", [plain(graph, x), rows], { type, dims }, { axis }));
}

function oneHot({ graph, input, attributes }: Call): Value {
  const indices = cast(graph, input("indices"), "int32");
  const depth = attributes.number("depth");
  const type: ElementType = attributes.text("dtype", "int32") === "float32" ? "float32" : "int32";
  const column = reshape(graph, indices, [...indices.shape, 1]);
  const row = constant(graph, "int32", [depth], natural(depth));
  const hit = elementwise(graph, "Equal", [column, row], "bool");
  const [on, off] = [attributes.number("onValue", 1), attributes.number("offValue", 0)];
  if (on === 1 && off === 0) return cast(graph, hit, type);
  return select(graph, hit, filled(graph, type, [], on), filled(graph, type, [], off));
}

function stridedSlice({ graph, input, attributes }: Call): Value {
  const x = input("x");
  const info = slice_util.sliceInfo(
    [...x.shape],
    [...attributes.numbers("begin")],
    [...attributes.numbers("end")],
    [...attributes.numbers("strides")],
    attributes.number("beginMask", 0),
    attributes.number("endMask", 0),
    attributes.number("ellipsisMask", 0),
    attributes.number("newAxisMask", 0),
    attributes.number("shrinkAxisMask", 0),
  );
  const part = slice(graph, x, info.begin, info.end, info.strides);
  return reshape(graph, part, info.finalShape);
}

/** Rows added up at given places of a tensor of zeros. */
function scatter(
  graph: Graph,
  indices: Value,
  updates: Value,
  onto: Value,
  reduction: "add" | "none",
): Value {
  const places = plain(graph, cast(graph, indices, "int64"));
  const form = { type: onto.edge.type, dims: onto.shape };
  const inputs = [plain(graph, onto), places, plain(graph, updates)];
  return value(graph.node("ScatterND", inputs, form, { reduction }));
}

/** Kernels of shapes. */
export const SHAPE: Kernels = {
  Reshape: ({ graph, input, attributes }) => {
    const x = input("x");
    const shape = attributes.numbers("shape");
    const size = sizeOf(x.shape);
    const rest = size / sizeOf(shape.filter((other) => other !== -1));
    const wanted = shape.map((other) => other === -1 ? rest : other);
    if (sizeOf(wanted) !== size) {
      throw new Error(
        `Cannot reshape [${x.shape.join(", ")}] to [${shape.join(", ")}]: the sizes differ`,
      );
    }
    return reshape(graph, x, wanted);
  },
  ExpandDims: ({ graph, input, attributes }) => {
    const x = input("input");
    const dim = attributes.number("dim");
    const at = dim < 0 ? dim + x.shape.length + 1 : dim;
    return reshape(graph, x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
  },
  Transpose: ({ input, attributes }) => {
    const x = input("x");
    const perm = attributes.numbers("perm");
    // Only the names of the axes change; nothing moves until an operation needs it.
    const order = x.order.map((axis) => perm.indexOf(axis));
    const [shape, dims] = [x.shape, x.dims].map((sizes) => perm.map((axis) => sizes[axis] ?? 1));
    return value(x.edge, shape, order, dims);
  },
  Concat: ({ graph, inputs, attributes }) =>
    concat(graph, inputs, attributes.axes("axis", inputs[0]?.shape.length ?? 0)[0] ?? 0),
  Pack: ({ graph, inputs, attributes }) => {
    const rank = (inputs[0]?.shape.length ?? 0) + 1;
    const axis = attributes.axes("axis", rank)[0] ?? 0;
    const rows = inputs.map((x) =>
      reshape(graph, x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)])
    );
    return concat(graph, rows, axis);
  },
  Unpack: ({ graph, input, attributes }) => {
    const x = input("value");
    const axis = attributes.axes("axis", x.shape.length)[0] ?? 0;
    const sizes = Array.from({ length: x.shape[axis] ?? 0 }, () => 1);
    const shape = x.shape.filter((_, other) => other !== axis);
    return split(graph, x, sizes, axis).map((part) => reshape(graph, part, shape));
  },
  SplitV: ({ graph, input, attributes }) => {
    const x = input("x");
    const axis = attributes.axes("axis", x.shape.length)[0] ?? 0;
    const size = x.shape[axis] ?? 0;
    const given = attributes.numbers("numOrSizeSplits");
    const [count = 1] = given;
    const sizes = attributes.isList("numOrSizeSplits")
      ? given
      : Array.from({ length: count }, () => size / count);
    const known = sizes.filter((part) => part !== -1).reduce((a, b) => a + b, 0);
    return split(graph, x, sizes.map((part) => part === -1 ? size - known : part), axis);
  },
  Slice: ({ graph, input, attributes }) => {
    const x = input("x");
    const begin = x.shape.map((_, axis) => attributes.numbers("begin")[axis] ?? 0);
    const end = x.shape.map((size, axis) => {
      const part = attributes.numbers("size")[axis] ?? -1;
      return part === -1 ? size : (begin[axis] ?? 0) + part;
    });
    return slice(graph, x, begin, end);
  },
  StridedSlice: stridedSlice,
  Reverse: ({ graph, input, attributes }) => {
    const x = input("x");
    const dims = attributes.axes("dims", x.shape.length);
    const pick = (yes: (axis: number) => number, no: (axis: number) => number) =>
      x.shape.map((_, axis) => dims.includes(axis) ? yes(axis) : no(axis));
    const begin = pick((axis) => (x.shape[axis] ?? 1) - 1, () => 0);
    const end = pick(() => -1, (axis) => x.shape[axis] ?? 1);
    return slice(graph, x, begin, end, pick(() => -1, () => 1));
  },
  PadV2: ({ graph, input, attributes }) =>
    pad(
      graph,
      input("x"),
      attributes.pairs("paddings"),
      "constant",
      attributes.number("constantValue", 0),
    ),
  MirrorPad: ({ graph, input, attributes }) => {
    const paddings = attributes.pairs("paddings");
    if (attributes.text("mode") === "reflect") return pad(graph, input("x"), paddings, "reflect");
    return symmetricPad(graph, input("x"), paddings);
  },
  Tile: ({ graph, input, attributes }) => tile(graph, input("x"), attributes.numbers("reps")),
  BroadcastTo: ({ graph, input, attributes }) =>
    repeatTo(graph, input("x"), attributes.numbers("shape")),
  Fill: ({ graph, attributes }) => {
    const dtype = attributes.text("dtype", "float32");
    const type: ElementType = dtype === "int32" || dtype === "bool" ? dtype : "float32";
    return filled(graph, type, attributes.numbers("shape"), attributes.number("value"));
  },
  GatherV2: gather,
  OneHot: oneHot,
  ScatterNd: ({ graph, input, attributes }) => {
    const updates = input("updates");
    const zeros = filled(graph, updates.edge.type, attributes.numbers("shape"), 0);
    return scatter(graph, input("indices"), updates, zeros, "add");
  },
  TensorScatterUpdate: ({ graph, input }) =>
    scatter(graph, input("indices"), input("updates"), input("tensor"), "none"),
  UnsortedSegmentSum: ({ graph, input, attributes }) => {
    const [x, segments] = [input("x"), input("segmentIds")];
    const rest = x.shape.slice(segments.shape.length);
    const zeros = filled(graph, x.edge.type, [attributes.number("numSegments"), ...rest], 0);
    const places = reshape(graph, segments, [...segments.shape, 1]);
    return scatter(graph, places, x, zeros, "add");
  },
  Diag: ({ graph, input }) => {
    const x = toFloat(graph, input("x"));
    const size = x.shape[0] ?? 0;
    const unit = Array.from({ length: size * size }, (_, i) => i % (size + 1) === 0 ? 1 : 0);
    return elementwise(graph, "Mul", [x, constant(graph, "float32", [size, size], unit)]);
  },
};
