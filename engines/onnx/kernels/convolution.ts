/**
 * Kernels of convolutions and their gradients. Feature maps stay channels first, filters stay as
 * checkpoints hold them, `[out, in, height, width]`.
 *
 * @module
 */
import { backend_util } from "tfjs";
import type { Edge, Graph } from "../graph.ts";
import type { Attributes, Call, Kernels } from "../kernel.ts";
import {
  CHANNELS_FIRST,
  full,
  natural,
  plain,
  reshape,
  stored,
  type Value,
  value,
} from "../value.ts";
import { add, toFloat } from "./arithmetic.ts";
import { activate } from "./elementwise.ts";
import { product, swapped } from "./matrix.ts";
import { concat, pad, slice } from "./shape.ts";

const OUT_IN: readonly number[] = [3, 2, 0, 1]; // of [height, width, in, out]
const IN_OUT: readonly number[] = [2, 3, 0, 1];
const CHANNEL_BY_CHANNEL: readonly number[] = [3, 0, 1, 2]; // of [batch, height, width, channel]
const SPATIAL = "Cannot trace a convolution";

type Shape4 = [number, number, number, number];

function four(shape: readonly number[]): Shape4 {
  const [a, b, c, d] = shape;
  if (a === undefined || b === undefined || c === undefined || d === undefined) {
    throw new Error(`${SPATIAL} of shape [${shape.join(", ")}]: it needs four axes`);
  }
  return [a, b, c, d];
}

/** What tfjs knows of a convolution. */
function infoOf(
  xShape: readonly number[],
  filterShape: readonly number[],
  attributes: Attributes,
  depthwise = false,
): backend_util.Conv2DInfo {
  if (attributes.text("dataFormat", "NHWC") !== "NHWC") {
    throw new Error(`${SPATIAL}: its data format must be NHWC`);
  }
  const rounding = attributes.text("dimRoundingMode", "none");
  const mode = rounding === "floor" || rounding === "round" || rounding === "ceil"
    ? rounding
    : undefined;
  return backend_util.computeConv2DInfo(
    four(xShape),
    four(filterShape),
    attributes.pair("strides", 1),
    attributes.pair("dilations", 1),
    attributes.padding(),
    mode,
    depthwise,
  );
}

function windowOf(info: backend_util.Conv2DInfo) {
  const { top, left, bottom, right } = info.padInfo;
  return {
    kernel_shape: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    pads: [top, left, bottom, right],
  };
}

function channelsFirst(shape: readonly number[]): number[] {
  return CHANNELS_FIRST.map((axis) => shape[axis] ?? 1);
}

function convolve(
  graph: Graph,
  x: Value,
  filter: Edge,
  info: backend_util.Conv2DInfo,
  group: number,
  bias?: Edge,
): Value {
  const form = { type: "float32", dims: channelsFirst(info.outShape) } as const;
  const inputs = [stored(graph, x, CHANNELS_FIRST), filter, ...bias === undefined ? [] : [bias]];
  const dilations = [info.dilationHeight, info.dilationWidth];
  const edge = graph.node("Conv", inputs, form, { ...windowOf(info), dilations, group });
  return value(edge, info.outShape, CHANNELS_FIRST);
}

function conv2d({ graph, input, attributes }: Call, bias?: Value): Value {
  const [x, filter] = [toFloat(graph, input("x")), input("filter")];
  const info = infoOf(x.shape, filter.shape, attributes);
  const offsets = bias === undefined
    ? undefined
    : plain(graph, reshape(graph, bias, [info.outChannels]));
  return convolve(graph, x, stored(graph, filter, OUT_IN), info, 1, offsets);
}

/** A depthwise filter `[height, width, in, multiplier]` as ONNX's grouped one. */
function depthwiseFilter(graph: Graph, filter: Value): Edge {
  const [height = 1, width = 1, channels = 1, multiplier = 1] = filter.shape;
  return graph.reshape(stored(graph, filter, [2, 3, 0, 1]), [
    channels * multiplier,
    1,
    height,
    width,
  ]);
}

function depthwise({ graph, input, attributes }: Call, bias?: Value): Value {
  const [x, filter] = [input("x"), input("filter")];
  const info = infoOf(x.shape, filter.shape, attributes, true);
  const offsets = bias === undefined
    ? undefined
    : plain(graph, reshape(graph, bias, [info.outChannels]));
  return convolve(graph, x, depthwiseFilter(graph, filter), info, info.inChannels, offsets);
}

/** With bias and activation, as `tf.fused` calls it. */
function fused(call: Call, run: (call: Call, bias?: Value) => Value): Value {
  const { graph, attributes } = call;
  const bias = call.optional("bias");
  const perChannel = bias !== undefined && bias.shape.slice(0, -1).every((size) => size === 1);
  const inner = perChannel ? run(call, full(graph, bias)) : run(call);
  const y = bias !== undefined && !perChannel ? add(graph, inner, bias) : inner;
  const name = attributes.text("activation", "linear");
  const slopes = call.optional("preluActivationWeights");
  return activate(graph, y, name, attributes.number("leakyreluAlpha", 0.2), slopes);
}

/** A filter turned by 180 degrees, between the channels in the other direction. */
function flipped(graph: Graph, filter: Value): Edge {
  const [height = 1, width = 1, channels = 1, out = 1] = filter.shape;
  if (height === 1 && width === 1) return stored(graph, filter, IN_OUT);
  const begin = [height - 1, width - 1, 0, 0];
  const turned = slice(graph, full(graph, filter), begin, [-1, -1, channels, out], [-1, -1, 1, 1]);
  return stored(graph, turned, IN_OUT);
}

/** A transposed convolution in ONNX's own node. */
function transposed(
  graph: Graph,
  dy: Value,
  filter: Edge,
  info: backend_util.Conv2DInfo,
  group: number,
): Value {
  const { top, left, bottom, right } = info.padInfo;
  const rest = (input: number, output: number, stride: number, size: number, pads: number) =>
    input - ((output - 1) * stride + size - pads);
  const extra = [
    rest(info.inHeight, info.outHeight, info.strideHeight, info.filterHeight, top + bottom),
    rest(info.inWidth, info.outWidth, info.strideWidth, info.filterWidth, left + right),
  ];
  const form = { type: "float32", dims: channelsFirst(info.inShape) } as const;
  const edge = graph.node("ConvTranspose", [stored(graph, dy, CHANNELS_FIRST), filter], form, {
    ...windowOf(info),
    output_padding: extra,
    group,
  });
  return value(edge, info.inShape, CHANNELS_FIRST);
}

function inputGradient({ graph, input, attributes }: Call): Value {
  const [dy, filter] = [input("dy"), input("filter")];
  const info = infoOf(attributes.numbers("inputShape"), filter.shape, attributes);
  const { top, left, bottom, right } = info.padInfo;
  const [down, across] = [info.filterHeight - 1, info.filterWidth - 1];
  const turnable = top <= down && bottom <= down && left <= across && right <= across;
  if (info.strideHeight !== 1 || info.strideWidth !== 1 || !turnable) {
    return transposed(graph, dy, stored(graph, filter, OUT_IN), info, 1);
  }
  // At stride 1 it is a convolution with the turned filter, which ONNX Runtime computes in blocks.
  const form = { type: "float32", dims: channelsFirst(info.inShape) } as const;
  const inputs = [stored(graph, dy, CHANNELS_FIRST), flipped(graph, filter)];
  const edge = graph.node("Conv", inputs, form, {
    kernel_shape: [info.filterHeight, info.filterWidth],
    strides: [1, 1],
    pads: [down - top, across - left, down - bottom, across - right],
    dilations: [1, 1],
    group: 1,
  });
  return value(edge, info.inShape, CHANNELS_FIRST);
}

/** The parts of x that each place of the filter sees, `[batch, out height, out width, in]` each. */
function windows(graph: Graph, x: Value, info: backend_util.Conv2DInfo): Value[] {
  const { top, left, bottom, right } = info.padInfo;
  const padded = pad(graph, x, [[0, 0], [top, bottom], [left, right], [0, 0]], "constant");
  const [batch = 1, height = 1, width = 1, channels = 1] = padded.shape;
  return natural(info.filterHeight * info.filterWidth).map((place) => {
    const row = Math.floor(place / info.filterWidth) * info.dilationHeight;
    const column = place % info.filterWidth * info.dilationWidth;
    const bottom = Math.min(height, row + (info.outHeight - 1) * info.strideHeight + 1);
    const right = Math.min(width, column + (info.outWidth - 1) * info.strideWidth + 1);
    const steps = [1, info.strideHeight, info.strideWidth, 1];
    return slice(graph, padded, [0, row, column, 0], [batch, bottom, right, channels], steps);
  });
}

/**
 * A matrix product for each place of the filter: the part of x that it sees, `[in, batch·h·w]`, by
 * dy, `[batch·h·w, out]`. Stored channel by channel, the parts need no further moves.
 */
function filterGradient({ graph, input, attributes }: Call): Value {
  const [x, dy] = [input("x"), input("dy")].map((x) =>
    value(stored(graph, x, CHANNEL_BY_CHANNEL), x.shape, CHANNEL_BY_CHANNEL)
  );
  if (x === undefined || dy === undefined) throw new Error(`${SPATIAL}: no input`);
  const shape = attributes.numbers("filterShape");
  const info = infoOf(x.shape, shape, attributes);
  const rows = info.batchSize * info.outHeight * info.outWidth;
  const right = reshape(graph, dy, [rows, info.outChannels]);
  const products = windows(graph, x, info).map((part) =>
    product(graph, swapped(reshape(graph, part, [rows, info.inChannels])), right)
  );
  return reshape(graph, concat(graph, products, 0), shape);
}

/** Kernels of convolutions. */
export const CONVOLUTION: Kernels = {
  Conv2D: (call) => conv2d(call),
  FusedConv2D: (call) => fused(call, conv2d),
  DepthwiseConv2dNative: (call) => depthwise(call),
  FusedDepthwiseConv2D: (call) => fused(call, depthwise),
  Conv2DBackpropInput: inputGradient,
  Conv2DBackpropFilter: filterGradient,
  DepthwiseConv2dNativeBackpropInput: ({ graph, input, attributes }) => {
    const [dy, filter] = [input("dy"), input("filter")];
    const info = infoOf(attributes.numbers("inputShape"), filter.shape, attributes, true);
    return transposed(graph, dy, depthwiseFilter(graph, filter), info, info.inChannels);
  },
};
