/**
 * Kernels of convolutions and their gradients. Feature maps stay channels first, filters stay as
 * checkpoints hold them, `[out, in, height, width]`.
 *
 * @module
 */
import { backend_util } from "tfjs";
import type { Edge, Graph } from "../graph.ts";
import type { Attributes, Call, Kernels } from "../kernel.ts";
import { watch } from "../layers.ts";
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
import { convolveDoubled, halfOf } from "./doubled.ts";
import { activate } from "./elementwise.ts";
import { integerConvolution } from "./integer.ts";
import { slice } from "./shape.ts";
import { winograd, winogradPays } from "./winograd.ts";

const OUT_IN: readonly number[] = [3, 2, 0, 1]; // of [height, width, in, out]
const IN_OUT: readonly number[] = [2, 3, 0, 1];
const BATCH_LAST: readonly number[] = [3, 1, 2, 0]; // of [batch, height, width, channel]
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

/** How a filter moves over the image, as ONNX says it. */
interface Window {
  readonly kernel_shape: readonly number[];
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
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
  const dims = channelsFirst(info.outShape);
  const window = {
    ...windowOf(info),
    dilations: [info.dilationHeight, info.dilationWidth],
    group,
  };
  const shape = info.outShape;
  const bytes = group === 1 && integerConvolution(graph, x, filter, bias, { shape, dims }, window);
  if (bytes) return bytes;
  const image = stored(graph, x, CHANNELS_FIRST);
  const edge = convolveEdges(graph, image, filter, bias, window, dims);
  if (group === 1) watch(graph, "convolution", filter, image, 1, edge);
  return value(edge, shape, CHANNELS_FIRST);
}

/** Whether a filter of 3×3 goes over every pixel, with a border that leaves the size of the image. */
function keepsSize({ kernel_shape: kernel, strides, pads, dilations, group }: Window): boolean {
  return group === 1 && kernel.every((size) => size === 3) &&
    [...strides, ...pads, ...dilations].every((step) => step === 1);
}

/** A convolution in the form that is computed fastest. */
function convolveEdges(
  graph: Graph,
  x: Edge,
  filter: Edge,
  bias: Edge | undefined,
  window: Window,
  dims: readonly number[],
): Edge {
  if (graph.blocked && keepsSize(window)) {
    const small = halfOf(x);
    if (small !== undefined) return convolveDoubled(graph, small, filter, bias);
    if (winogradPays(x.dims, filter.dims[0] ?? 1)) return winograd(graph, x, filter, bias);
  }
  const inputs = bias === undefined ? [x, filter] : [x, filter, bias];
  return graph.node("Conv", inputs, { type: "float32", dims }, { ...window });
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
  const [slope, turned] = [stored(graph, dy, CHANNELS_FIRST), flipped(graph, filter)];
  const edge = convolveEdges(graph, slope, turned, undefined, {
    kernel_shape: [info.filterHeight, info.filterWidth],
    strides: [1, 1],
    pads: [down - top, across - left, down - bottom, across - right],
    dilations: [1, 1],
    group: 1,
  }, channelsFirst(info.inShape));
  return value(edge, info.inShape, CHANNELS_FIRST);
}

/** Where along one axis an output position looks, for one place of the filter; -1 is outside. */
function seen(position: number, size: number): number {
  return position >= 0 && position < size ? position : -1;
}

/** A pixel, or zeros where either is -1. */
type Pick = readonly [row: number, column: number];

/**
 * Feature maps as `[channel, picks, batch]`. One Gather copies runs of a whole batch, in all threads; slices would copy rows in one.
 */
function gatherCells(graph: Graph, x: Value, picks: readonly Pick[]): Edge {
  const [batch = 1, height = 1, width = 1, channels = 1] = x.shape;
  const cells = graph.reshape(stored(graph, x, BATCH_LAST), [channels, height * width, batch]);
  const whole = picks.length === height * width &&
    picks.every(([row, column], index) => row * width + column === index);
  if (whole) return cells;
  const zero = height * width; // the number of a cell of zeros behind the last
  const places = picks.map(([row, column]) => row < 0 || column < 0 ? zero : row * width + column);
  const ended = places.includes(zero) ? padEnd(graph, cells) : cells;
  const form = { type: "float32", dims: [channels, picks.length, batch] } as const;
  const indices = graph.constant("int32", [picks.length], Int32Array.from(places));
  return graph.node("Gather", [ended, indices], form, { axis: 1 });
}

/** One more cell, of zeros. */
function padEnd(graph: Graph, cells: Edge): Edge {
  const [channels = 1, count = 1, batch = 1] = cells.dims;
  const form = { type: "float32", dims: [channels, count + 1, batch] } as const;
  return graph.node("Pad", [cells, graph.integers([0, 0, 0, 0, 1, 0])], form, { mode: "constant" });
}

/**
 * One matrix product over all pixels of the batch: of what the filter's places see in x by dy. At
 * stride 1 a shift of columns may as well be made in dy, the other way: then x is copied for each row
 * of the filter and dy for each column, instead of x for each of their pairs.
 */
function filterGradient({ graph, input, attributes }: Call): Value {
  const [x, dy] = [full(graph, input("x")), full(graph, input("dy"))];
  const shape = attributes.numbers("filterShape");
  const info = infoOf(x.shape, shape, attributes);
  const { filterHeight: height, filterWidth: width, inChannels, outChannels } = info;
  const splits = info.strideWidth === 1;
  const rowOf = (row: number, place: number) =>
    seen(row * info.strideHeight - info.padInfo.top + place * info.dilationHeight, info.inHeight);
  const columnOf = (column: number, place: number) =>
    seen(column * info.strideWidth - info.padInfo.left + place * info.dilationWidth, info.inWidth);
  // Pairs of pixels are summed over: rows of the output by columns of the input where it splits.
  const [rows, columns] = [natural(info.outHeight), natural(splits ? info.inWidth : info.outWidth)];
  const picks = (places: number, pick: (row: number, column: number, place: number) => Pick) =>
    natural(places).flatMap((place) =>
      rows.flatMap((row) => columns.map((column) => pick(row, column, place)))
    );
  const left = splits
    ? picks(height, (row, column, place) => [rowOf(row, place), column])
    : picks(height * width, (row, column, place) => [
      rowOf(row, Math.floor(place / width)),
      columnOf(column, place % width),
    ]);
  const right = splits
    ? picks(width, (row, column, place) => [
      row,
      seen(column + info.padInfo.left - place * info.dilationWidth, info.outWidth),
    ])
    : picks(1, (row, column) => [row, column]);
  const sum = rows.length * columns.length * info.batchSize;
  const [leftPlaces, rightPlaces] = splits ? [height, width] : [height * width, 1];
  const a = graph.reshape(gatherCells(graph, x, left), [inChannels * leftPlaces, sum]);
  const b = graph.reshape(gatherCells(graph, dy, right), [outChannels * rightPlaces, sum]);
  const form = { type: "float32", dims: [outChannels * rightPlaces, inChannels * leftPlaces] };
  const y = graph.node("Gemm", [b, a], { ...form, type: "float32" }, { transA: 0, transB: 1 });
  if (!splits) {
    return value(graph.reshape(y, [outChannels, inChannels, height, width]), shape, OUT_IN);
  }
  const wide = graph.reshape(y, [outChannels, width, inChannels, height]);
  return value(wide, shape, [3, 1, 2, 0]);
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
