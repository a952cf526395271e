/**
 * Kernels of pooling and resizing.
 *
 * @module
 */
import { backend_util } from "tfjs";
import type { Graph } from "../graph.ts";
import type { Attributes, Call, Kernel, Kernels } from "../kernel.ts";
import {
  CHANNELS_FIRST,
  constant,
  elementwise,
  filled,
  natural,
  plain,
  stored,
  type Value,
  value,
} from "../value.ts";
import { add, div, like, mul, sub } from "./arithmetic.ts";
import { product } from "./matrix.ts";

type Shape4 = [number, number, number, number];

function four(x: Value): Shape4 {
  const [a = 1, b = 1, c = 1, d = 1] = x.shape;
  return [a, b, c, d];
}

function windowOf(x: Value, attributes: Attributes): backend_util.Conv2DInfo {
  return backend_util.computePool2DInfo(
    four(x),
    attributes.pair("filterSize"),
    attributes.pair("strides"),
    1,
    attributes.padding(),
    attributes.text("dimRoundingMode", "floor") === "ceil" ? "ceil" : "floor",
  );
}

/** A pooling; tfjs and ONNX both leave padding out of averages. */
function pool(op: string): Kernel {
  return ({ graph, input, attributes }) => {
    const x = input("x");
    const info = windowOf(x, attributes);
    const { top, left, bottom, right } = info.padInfo;
    const dims = CHANNELS_FIRST.map((axis) => info.outShape[axis] ?? 1);
    const edge = graph.node(op, [stored(graph, x, CHANNELS_FIRST)], { type: "float32", dims }, {
      kernel_shape: [info.filterHeight, info.filterWidth],
      strides: [info.strideHeight, info.strideWidth],
      pads: [top, left, bottom, right],
    });
    return value(edge, info.outShape, CHANNELS_FIRST);
  };
}

/** Rows of numbers: how much of input `column` goes into output `row`. */
type Weights = readonly (readonly number[])[];

/** Height and width of a feature map, each mapped by a matrix: `[out, in]`. */
function separable(graph: Graph, x: Value, rows: Weights, columns: Weights): Value {
  const [batch, height, width, channels] = four(x);
  const flat = (weights: Weights) =>
    constant(graph, "float32", [weights.length, weights[0]?.length ?? 0], weights.flat());
  const [down, across] = [flat(rows), flat(turned(columns))];
  const maps = value(stored(graph, x, CHANNELS_FIRST), [batch, channels, height, width]);
  const y = product(graph, product(graph, down, maps), across);
  const shape = [batch, rows.length, columns.length, channels];
  return value(y.edge, shape, CHANNELS_FIRST);
}

function turned(weights: Weights): Weights {
  return natural(weights[0]?.length ?? 0).map((column) => weights.map((row) => row[column] ?? 0));
}

/** The places in the input that each output pixel is made of, with their weights. */
function resizing(
  from: number,
  to: number,
  { linear, corners, centers }: { linear: boolean; corners: boolean; centers: boolean },
): Weights {
  const aligned = corners && to > 1;
  const scale = aligned ? (from - 1) / (to - 1) : from / to;
  return natural(to).map((index) => {
    const row = Array.from({ length: from }, () => 0);
    const put = (place: number, weight: number) => {
      const at = Math.min(from - 1, Math.max(0, place));
      row[at] = (row[at] ?? 0) + weight;
    };
    if (!linear) {
      const place = centers ? (index + 0.5) * scale : index * scale;
      put(corners ? Math.round(place) : Math.floor(place), 1);
      return row;
    }
    const place = centers ? (index + 0.5) * scale - 0.5 : index * scale;
    const low = Math.max(0, Math.floor(place));
    const share = Math.max(0, place - low);
    put(low, 1 - share);
    put(Math.min(from - 1, Math.ceil(place)), share);
    return row;
  });
}

function weightsOf(
  { attributes }: Call,
  height: readonly [number, number],
  width: readonly [number, number],
  linear: boolean,
): [Weights, Weights] {
  const how = {
    linear,
    corners: attributes.flag("alignCorners"),
    centers: attributes.flag("halfPixelCenters"),
  };
  return [resizing(...height, how), resizing(...width, how)];
}

/** True where each pixel becomes a block of whole pixels. */
function repeats(
  { attributes }: Call,
  height: number,
  width: number,
  rows: number,
  columns: number,
) {
  const plain = !attributes.flag("alignCorners") || rows === 1 && columns === 1;
  return plain && rows % height === 0 && columns % width === 0;
}

function resize(linear: boolean): Kernel {
  return (call) => {
    const { graph, input, attributes } = call;
    const images = input("images");
    const [batch, height, width, channels] = four(images);
    const [rows, columns] = attributes.pair("size");
    if (linear || !repeats(call, height, width, rows, columns)) {
      const [down, across] = weightsOf(call, [height, rows], [width, columns], linear);
      return separable(graph, images, down, across);
    }
    const scales = Float32Array.of(1, 1, rows / height, columns / width);
    const edge = graph.node(
      "Resize",
      [stored(graph, images, CHANNELS_FIRST), undefined, graph.constant("float32", [4], scales)],
      { type: "float32", dims: [batch, channels, rows, columns] },
      {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      },
    );
    return value(edge, [batch, rows, columns, channels], CHANNELS_FIRST);
  };
}

function resizeGradient(linear: boolean): Kernel {
  return (call) => {
    const { graph, input } = call;
    const [dy, images] = [input("dy"), input("images")];
    const [, height, width] = four(images);
    const [, rows, columns] = four(dy);
    if (!linear && repeats(call, height, width, rows, columns)) {
      return blockSum(graph, dy, rows / height, columns / width);
    }
    const [down, across] = weightsOf(call, [height, rows], [width, columns], linear);
    return separable(graph, dy, turned(down), turned(across));
  };
}

/** The sums over blocks of pixels. */
function blockSum(graph: Graph, x: Value, down: number, across: number): Value {
  const [batch, height, width, channels] = four(x);
  const shape = [batch, height / down, width / across, channels];
  const dims = CHANNELS_FIRST.map((axis) => shape[axis] ?? 1);
  const edge = graph.node("AveragePool", [stored(graph, x, CHANNELS_FIRST)], {
    type: "float32",
    dims,
  }, { kernel_shape: [down, across], strides: [down, across] });
  const mean = value(edge, shape, CHANNELS_FIRST);
  return mul(graph, mean, like(graph, mean, down * across));
}

/** 1 where an input row lies in a window, by window and row. */
function cover(
  windows: number,
  rows: number,
  size: number,
  stride: number,
  before: number,
): Weights {
  return natural(windows).map((window) =>
    natural(rows).map((row) => {
      const place = row + before - window * stride;
      return place >= 0 && place < size ? 1 : 0;
    })
  );
}

function avgPoolGradient({ graph, input, attributes }: Call): Value {
  const [dy, x] = [input("dy"), input("input")];
  const info = windowOf(x, attributes);
  const down = cover(
    info.outHeight,
    info.inHeight,
    info.filterHeight,
    info.strideHeight,
    info.padInfo.top,
  );
  const across = cover(
    info.outWidth,
    info.inWidth,
    info.filterWidth,
    info.strideWidth,
    info.padInfo.left,
  );
  const share = mul(graph, dy, like(graph, dy, 1 / (info.filterHeight * info.filterWidth)));
  const [batch, height, width, channels] = four(x);
  const whole = info.filterHeight === info.strideHeight && info.filterWidth === info.strideWidth &&
    height === info.outHeight * info.filterHeight && width === info.outWidth * info.filterWidth;
  if (!whole) return separable(graph, share, turned(down), turned(across));
  const scales = Float32Array.of(1, 1, info.filterHeight, info.filterWidth);
  const edge = graph.node(
    "Resize",
    [stored(graph, share, CHANNELS_FIRST), undefined, graph.constant("float32", [4], scales)],
    { type: "float32", dims: [batch, channels, height, width] },
    { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  );
  return value(edge, x.shape, CHANNELS_FIRST);
}

/** `(x - mean) / sqrt(variance + epsilon) * scale + offset`, a node that folds into convolutions. */
function batchNorm({ graph, input, optional, attributes }: Call): Value {
  const x = input("x");
  const [mean, variance] = [input("mean"), input("variance")];
  const [scale, offset] = [optional("scale"), optional("offset")];
  const epsilon = attributes.number("varianceEpsilon", 0.001);
  const channels = x.shape[x.shape.length - 1] ?? 1;
  const vectors = [
    scale ?? filled(graph, "float32", [channels], 1),
    offset ?? filled(graph, "float32", [channels], 0),
    mean,
    variance,
  ];
  if (x.shape.length === 4 && vectors.every(({ shape }) => shape.length === 1)) {
    const edges = [stored(graph, x, CHANNELS_FIRST), ...vectors.map((each) => plain(graph, each))];
    const dims = CHANNELS_FIRST.map((axis) => x.shape[axis] ?? 1);
    const edge = graph.node("BatchNormalization", edges, { type: "float32", dims }, {
      epsilon: { float: epsilon },
    });
    return value(edge, x.shape, CHANNELS_FIRST);
  }
  const deviation = elementwise(graph, "Sqrt", [
    add(graph, variance, like(graph, variance, epsilon)),
  ]);
  const unit = div(graph, sub(graph, x, mean), deviation);
  const scaled = scale === undefined ? unit : mul(graph, unit, scale);
  return offset === undefined ? scaled : add(graph, scaled, offset);
}

/** Channels laid out as blocks of pixels. */
function depthToSpace({ graph, input, attributes }: Call): Value {
  const x = input("x");
  const [batch, height, width, channels] = four(x);
  const block = attributes.number("blockSize");
  if (attributes.text("dataFormat", "NHWC") !== "NHWC") {
    throw new Error("Cannot trace DepthToSpace: its data format must be NHWC");
  }
  const shape = [batch, height * block, width * block, channels / block ** 2];
  const dims = CHANNELS_FIRST.map((axis) => shape[axis] ?? 1);
  const edge = graph.node("DepthToSpace", [stored(graph, x, CHANNELS_FIRST)], {
    type: "float32",
    dims,
  }, { blocksize: block, mode: "DCR" });
  return value(edge, shape, CHANNELS_FIRST);
}

/** Kernels of feature maps. */
export const IMAGE: Kernels = {
  FusedBatchNorm: batchNorm,
  DepthToSpace: depthToSpace,
  AvgPool: pool("AveragePool"),
  MaxPool: pool("MaxPool"),
  AvgPoolGrad: avgPoolGradient,
  ResizeNearestNeighbor: resize(false),
  ResizeBilinear: resize(true),
  ResizeNearestNeighborGrad: resizeGradient(false),
  ResizeBilinearGrad: resizeGradient(true),
};
