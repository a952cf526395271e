/**
 * Layers in bytes. Activations are unsigned with the range of a calibration, weights signed with a
 * step for each output channel: the pair that processors multiply fastest. Sums are exact integers.
 *
 * @module
 */
import { type Affine, affineOf, byteWeights, MIDDLE, stepOf } from "../../../quantization/bytes.ts";
import type { LayerScales } from "../../../quantization/scales.ts";
import { type Attribute, type Edge, type Graph } from "../graph.ts";
import { type Parameter, parameterOf, partsOf } from "../layers.ts";
import { CHANNELS_FIRST, full, plain, stored, type Value, value } from "../value.ts";
import { add } from "./arithmetic.ts";

const CHANNEL = 1; // the axis of feature maps that are stored channels first

const float = (graph: Graph, number: number) =>
  graph.constant("float32", [], Float32Array.of(number));
const byte = (graph: Graph, number: number) => graph.constant("uint8", [], Uint8Array.of(number));

/** Bytes of an edge. What only moves or repeats elements is done to the bytes, a quarter as large. */
function quantize(graph: Graph, edge: Edge, affine: Affine): Edge {
  const { node } = edge;
  const form = { type: "uint8", dims: edge.dims } as const;
  const [inner, ...rest] = node?.inputs ?? [];
  if (node !== undefined && inner !== undefined) {
    const { op, attributes } = node;
    if (op === "Resize" || op === "Reshape" || op === "Transpose") {
      return graph.node(op, [quantize(graph, inner, affine), ...rest], form, attributes);
    }
    const [pads, fill] = rest;
    if (op === "Pad" && attributes.mode === "constant" && isZero(fill)) {
      const zero = byte(graph, affine.zero);
      return graph.node(op, [quantize(graph, inner, affine), pads, zero], form, attributes);
    }
  }
  const inputs = [edge, float(graph, affine.scale), byte(graph, affine.zero)];
  return graph.node("QuantizeLinear", inputs, form);
}

function isZero(edge: Edge | undefined): boolean {
  const { source } = edge ?? {};
  return source?.kind === "data" && source.data.length === 1 && Number(source.data[0]) === 0;
}

/** A layer's input in bytes. */
interface Input extends Affine {
  readonly edge: Edge;
  /** The step of each input channel, where its parts have steps of their own. */
  readonly steps?: Float32Array;
}

/**
 * The input of a convolution, channels first. Parts that are concatenated have one zero and steps
 * of their own, which go into the weights: they are still one convolution.
 */
function inputOf(graph: Graph, layer: string, edge: Edge, { input: ranges }: LayerScales): Input {
  const [range, second] = ranges;
  if (range === undefined) throw new TypeError(`Cannot compute ${layer} in bytes: it has no range`);
  if (second === undefined) {
    const affine = affineOf(range);
    return { ...affine, edge: quantize(graph, edge, affine) };
  }
  const parts = partsOf(graph, edge, CHANNEL);
  if (parts.length !== ranges.length) {
    throw new TypeError(
      `Cannot compute ${layer} in bytes: it has ranges for ${ranges.length} parts, and its input ${parts.length}`,
    );
  }
  const scales = ranges.map(([low, high]) => stepOf(Math.max(-low, high)));
  const bytes = parts.map((part, index) =>
    quantize(graph, part, { scale: scales[index] ?? 1, zero: MIDDLE })
  );
  const steps = parts.flatMap(({ dims }, i) =>
    Array<number>(dims[CHANNEL] ?? 0).fill(scales[i] ?? 1)
  );
  return {
    edge: graph.node("Concat", bytes, { type: "uint8", dims: edge.dims }, { axis: CHANNEL }),
    scale: 1,
    zero: MIDDLE,
    steps: Float32Array.from(steps),
  };
}

/** Weights `[out, in, …]` in bytes, made once for graphs of all shapes. */
function weightsOf(graph: Graph, parameter: Parameter, steps?: Float32Array) {
  const { layer, dims, read } = parameter;
  const known = graph.layers.bytes?.get(layer);
  if (known !== undefined) return known;
  const values = read();
  const [out = 1, channels = 1] = dims;
  const span = values.length / out / channels;
  const folded = steps === undefined
    ? values
    : values.map((weight, i) => weight * (steps[Math.floor(i / span) % channels] ?? 1));
  const made = byteWeights(folded, out);
  graph.layers.bytes?.set(layer, made);
  return made;
}

/** A vector's values where it is a parameter, or known. */
function valuesOf(edge: Edge | undefined, count: number): ArrayLike<number> {
  if (edge === undefined) return new Float32Array(count);
  const { source } = edge;
  if (source?.kind === "data") return source.data as Float32Array; // of a float32 edge
  const values = parameterOf(edge)?.read();
  if (values === undefined) throw new TypeError(`Cannot read the values of ${edge.name}`);
  return values;
}

/**
 * A convolution in bytes, where it has scales. Its output is in bytes, too, which ONNX's operation
 * wants, with a step for each channel.
 *
 * @param form Of the output, channels first
 */
export function integerConvolution(
  graph: Graph,
  x: Value,
  filter: Edge,
  bias: Edge | undefined,
  form: { readonly shape: readonly number[]; readonly dims: readonly number[] },
  attributes: Readonly<Record<string, Attribute>>,
): Value | undefined {
  const parameter = parameterOf(filter);
  const scales = parameter && graph.layers.scales?.get(parameter.layer);
  if (parameter === undefined || scales?.output === undefined) return undefined;
  const { layer, dims } = parameter;
  const [out = 1] = dims;
  const input = inputOf(graph, layer, stored(graph, x, CHANNELS_FIRST), scales);
  const { bytes, steps } = weightsOf(graph, parameter, input.steps);
  const offsets = valuesOf(bias, out);
  const outputs = Float32Array.from(scales.output, stepOf);
  if (outputs.length !== out) {
    throw new TypeError(
      `Cannot compute ${layer} in bytes: it has ${out} outputs, and scales for ${outputs.length}`,
    );
  }
  const vector = (values: Float32Array) => graph.constant("float32", [out], values);
  // What is summed has the step of input times weight, and so has the bias.
  const bound = 2 ** 31 - 1;
  const sums = Int32Array.from(steps, (step, channel) => {
    const offset = (offsets[channel] ?? 0) + (scales.correction?.[channel] ?? 0);
    return Math.min(bound, Math.max(-bound, Math.round(offset / (input.scale * step))));
  });
  // A step of each output channel is asked for as a weight's step: the operation has only one.
  const weightSteps = steps.map((step, channel) => step / (outputs[channel] ?? 1));
  const y = graph.node(
    "QLinearConv",
    [
      input.edge,
      float(graph, input.scale),
      byte(graph, input.zero),
      graph.initializer(`${layer}.bytes`, "int8", dims, { kind: "lazy", read: () => bytes }),
      vector(weightSteps),
      graph.constant("int8", [out], new Int8Array(out)),
      float(graph, 1),
      byte(graph, MIDDLE),
      graph.constant("int32", [out], sums),
    ],
    { type: "uint8", dims: form.dims },
    attributes,
  );
  return value(dequantize(graph, y, outputs), form.shape, CHANNELS_FIRST);
}

/** Numbers of bytes around {@linkcode MIDDLE} with a step for each channel. */
function dequantize(graph: Graph, edge: Edge, steps: Float32Array): Edge {
  const { length } = steps;
  const form = { type: "float32", dims: edge.dims } as const;
  if (graph.fuses) {
    const zeros = graph.constant("uint8", [length], new Uint8Array(length).fill(MIDDLE));
    const inputs = [edge, graph.constant("float32", [length], steps), zeros];
    return graph.node("DequantizeLinear", inputs, form, { axis: CHANNEL });
  }
  // Left to itself, ONNX Runtime takes a node with many steps for one with a single step.
  const flat = graph.node("DequantizeLinear", [edge, float(graph, 1), byte(graph, MIDDLE)], form);
  return graph.node("Mul", [flat, graph.constant("float32", [1, length, 1, 1], steps)], form);
}

/**
 * A product with a parameter in bytes, where it has scales; the sums come out as float32.
 *
 * @param x `[rows, in]`
 * @param weight `[in, out]`, stored as `[out, in]`
 */
export function integerProduct(graph: Graph, x: Value, weight: Value): Value | undefined {
  if (weight.order[0] !== 1) return undefined;
  const parameter = parameterOf(weight.edge);
  const scales = parameter && graph.layers.scales?.get(parameter.layer);
  const [range] = scales?.input ?? [];
  if (parameter === undefined || range === undefined) return undefined;
  const { layer, dims: [out = 1, size = 1] } = parameter;
  const affine = affineOf(range);
  const whole = full(graph, x);
  const rows = plain(graph, { ...whole, edge: quantize(graph, whole.edge, affine) });
  const { bytes, steps } = weightsOf(graph, parameter);
  const read = () => turned(bytes, out, size);
  const columns = graph.initializer(`${layer}.bytes`, "int8", [size, out], { kind: "lazy", read });
  const form = { type: "float32", dims: [x.shape[0] ?? 1, out] } as const;
  const vector = (values: Float32Array) => graph.constant("float32", [out], values);
  const zero = byte(graph, affine.zero);
  const { correction } = scales ?? {};
  const offset = correction && vector(Float32Array.from(correction));
  if (graph.fuses) {
    const inputs = [rows, columns, float(graph, affine.scale), vector(steps), zero];
    const all = offset === undefined ? inputs : [...inputs, undefined, offset];
    return value(graph.node("MatMulIntegerToFloat", all, form, {}, "com.microsoft"));
  }
  const product = graph.node("Mul", [
    graph.node(
      "Cast",
      [graph.node("MatMulInteger", [rows, columns, zero], { ...form, type: "int32" })],
      form,
      { to: 1 },
    ),
    vector(steps.map((step) => step * affine.scale)),
  ], form);
  return offset === undefined ? value(product) : add(graph, value(product), value(offset));
}

/** A matrix of bytes with rows and columns changed. */
function turned(bytes: Int8Array, rows: number, columns: number): Int8Array {
  return bytes.map((_, i) => bytes[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}
