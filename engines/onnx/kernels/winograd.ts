/**
 * A 3×3 convolution with fewer products: Winograd's minimal filtering F(2×2, 3×3), as Lavin and Gray
 * use it, https://arxiv.org/abs/1509.09308, `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`. Tiles of 4×4 pixels d
 * give 2×2 of the output: 16 products of channels for 36.
 *
 * All of it is written in convolutions that ONNX Runtime computes on blocks of channels: Bᵀ d B as
 * depthwise ones of stride 2, one for each place in the tile, and the products as 1×1 ones; so nothing
 * is moved but the quarters of the image in the end. Sums of rounding errors stay near 4e-7.
 *
 * @module
 */
import type { Edge, Graph } from "../graph.ts";
import { joinPhases } from "./phases.ts";

const BLOCK = 16; // channels that ONNX Runtime computes at once
const PIXELS = 256; // of an image; fewer, and its time lies in reading weights, which grow to 16 / 9

/**
 * Bytes of a filter. Larger ones are in networks of hundreds of millions of parameters: Stable
 * Diffusion's would take 2.4 GB more, and 3.6 GB more while it is opened.
 */
const LARGEST = 4e6;

/**
 * By the bytes of the images, the fewest channels whose products cost more than the sums: measured with
 * 32 MB of cache, outside which the sums cost three to four times as much.
 */
const FEWEST = [{ bytes: 8e6, channels: 32 }, { bytes: 64e6, channels: 64 }];
const FEWEST_AT_LAST = 96;

/** G: from three rows of a filter to four of its transform. The last is negated, so that all sums add. */
const G = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, -1]] as const;

/**
 * Bᵀ: from four rows of a tile to four of its transform, each of two rows of the tile: their weights,
 * their distance, and the border before the first and behind the last tile.
 */
const B = [
  { weights: [1, -1], distance: 2, pads: [1, 0] },
  { weights: [1, 1], distance: 1, pads: [0, 0] },
  { weights: [-1, 1], distance: 1, pads: [0, 0] },
  { weights: [1, -1], distance: 2, pads: [0, 1] },
] as const;

type Place = 0 | 1 | 2 | 3;

/**
 * Whether a 3×3 convolution at stride 1 with a border of one pixel gains by it.
 *
 * @param dims `[batch, in, height, width]`
 */
export function winogradPays(dims: readonly number[], out: number): boolean {
  const [batch = 1, channels = 1, height = 1, width = 1] = dims;
  if (height * width < PIXELS || 36 * channels * out > LARGEST) return false;
  if (channels % BLOCK !== 0 || out % BLOCK !== 0 || height % 2 !== 0 || width % 2 !== 0) {
    return false;
  }
  // Products grow with the product of the channels, sums with their sum.
  const ratio = channels * out / (channels + out);
  const bytes = 4 * batch * height * width * (channels + out);
  return ratio >= (FEWEST.find((row) => bytes <= row.bytes)?.channels ?? FEWEST_AT_LAST);
}

/** A depthwise filter that is the same for all channels; one for the whole graph. */
function perChannel(
  graph: Graph,
  name: string,
  channels: number,
  window: readonly [number, number],
  weights: readonly number[],
): Edge {
  const data = Float32Array.from(Array.from({ length: channels }, () => weights).flat());
  return graph.initializer(name, "float32", [channels, 1, ...window], { kind: "data", data });
}

/** One place of all tiles of Bᵀ d B, `[batch, in, height / 2, width / 2]`. */
function tilesAt(graph: Graph, x: Edge, row: Place, column: Place): Edge {
  const [batch = 1, channels = 1, height = 1, width = 1] = x.dims;
  const [down, across] = [B[row], B[column]];
  const weights = down.weights.flatMap((a) => across.weights.map((b) => a * b));
  return graph.node(
    "Conv",
    [x, perChannel(graph, `winograd.${row}${column}`, channels, [2, 2], weights)],
    { type: "float32", dims: [batch, channels, height / 2, width / 2] },
    {
      kernel_shape: [2, 2],
      strides: [2, 2],
      pads: [down.pads[0], across.pads[0], down.pads[1], across.pads[1]],
      dilations: [down.distance, across.distance],
      group: channels,
    },
  );
}

/** G g Gᵀ of all filters: for each place in the tile one of `[out, in, 1, 1]`. */
function transformFilter(graph: Graph, filter: Edge): (row: Place, column: Place) => Edge {
  const [out = 1, channels = 1] = filter.dims;
  const type = "float32";
  const sums = G.flatMap((down) =>
    G.flatMap((across) => down.map((a) => across.map((b) => a * b)))
  );
  const data = Float32Array.from(sums.flat());
  const matrix = graph.initializer("winograd.filter", type, [16, 9], { kind: "data", data });
  const places = graph.reshape(filter, [out * channels, 9]);
  const form = { type, dims: [16, out * channels] } as const;
  const all = graph.node("Gemm", [matrix, places], form, { transA: 0, transB: 1 });
  const parts = Array.from({ length: 16 }, () => ({ type, dims: [out, channels, 1, 1] }) as const);
  const stacked = graph.reshape(all, [16 * out, channels, 1, 1]);
  const edges = graph.nodes("Split", [stacked], parts, { axis: 0, num_outputs: 16 });
  return (row, column) => edges[4 * row + column] ?? stacked;
}

/** A 1×1 convolution. */
function pointwise(graph: Graph, x: Edge, filter: Edge, bias: Edge | undefined, group = 1): Edge {
  const [batch = 1, , height = 1, width = 1] = x.dims;
  return graph.node(
    "Conv",
    bias === undefined ? [x, filter] : [x, filter, bias],
    { type: "float32", dims: [batch, filter.dims[0] ?? 1, height, width] },
    { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group },
  );
}

/** Aᵀ of four rows: the sums `m0 + m1 + m2` and `m1 - m2 + m3`, whose m3 comes negated. */
function fold(graph: Graph, at: (place: Place) => Edge): readonly [Edge, Edge] {
  const add = (a: Edge, b: Edge) => graph.node("Add", [a, b], { type: a.type, dims: a.dims });
  const [m1, m2] = [at(1), at(2)];
  const channels = m2.dims[1] ?? 1;
  // ONNX Runtime has sums on blocks of channels, but no differences.
  const minus = perChannel(graph, "winograd.minus", channels, [1, 1], [-1]);
  const negated = pointwise(graph, m2, minus, undefined, channels);
  return [add(at(0), add(m1, m2)), add(at(3), add(negated, m1))];
}

/**
 * The convolution, at stride 1 with a border of one pixel.
 *
 * @param x `[batch, in, height, width]`, height and width even
 * @param filter `[out, in, 3, 3]`
 */
export function winograd(graph: Graph, x: Edge, filter: Edge, bias: Edge | undefined): Edge {
  const filterAt = transformFilter(graph, filter);
  const product = (row: Place, column: Place) => {
    const tiles = tilesAt(graph, x, row, column);
    // The product in the middle is counted once in each of the four sums: it carries the bias.
    const offsets = row === 1 && column === 1 ? bias : undefined;
    return pointwise(graph, tiles, filterAt(row, column), offsets);
  };
  const column = (column: Place) => fold(graph, (row) => product(row, column));
  const columns = [column(0), column(1), column(2), column(3)] as const;
  const even = fold(graph, (place) => columns[place][0]);
  const odd = fold(graph, (place) => columns[place][1]);
  return joinPhases(graph, [...even, ...odd]);
}
