/**
 * A 3×3 convolution of an image whose pixels were doubled: where the pixel above is a copy, two rows
 * of the filter see the same value. Each of the four kinds of output pixels (even or odd row, even or
 * odd column) is therefore a 2×2 convolution of the small image, with the rows and columns that
 * coincide added up: 16 products an input pixel and pair of channels for 36.
 *
 * @module
 */
import { type Edge, equal, type Graph } from "../graph.ts";
import { joinPhases } from "./phases.ts";

/** The small image behind one whose height and width a Resize doubled. */
export function halfOf({ node }: Edge): Edge | undefined {
  const [small, , scales] = node?.op === "Resize" ? node.inputs : [];
  const data = scales?.source?.kind === "data" ? scales.source.data : [];
  return equal(Array.from(data, Number), [1, 1, 2, 2]) ? small : undefined;
}

/** Which of three rows (or columns) of the filter see the first and the second of two pixels. */
const COINCIDE = [[[0], [1, 2]], [[0, 1], [2]]] as const; // of even rows, of odd rows

/** The sums of a filter's places, `[9, 4]`, that make the 2×2 filter of one kind of output pixels. */
function sumsOf(oddRow: 0 | 1, oddColumn: 0 | 1): Float32Array {
  const sums = new Float32Array(9 * 4);
  COINCIDE[oddRow].forEach((rows, row) =>
    COINCIDE[oddColumn].forEach((columns, column) => {
      for (const i of rows) for (const j of columns) sums[(i * 3 + j) * 4 + row * 2 + column] = 1;
    })
  );
  return sums;
}

/**
 * The convolution, at stride 1 with a border of one pixel, of the doubled image.
 *
 * @param small `[batch, in, height, width]`, before it is doubled
 * @param filter `[out, in, 3, 3]`
 */
export function convolveDoubled(
  graph: Graph,
  small: Edge,
  filter: Edge,
  bias: Edge | undefined,
): Edge {
  const [batch = 1, channels = 1, height = 1, width = 1] = small.dims;
  const [out = 1] = filter.dims;
  const places = graph.reshape(filter, [out * channels, 9]);
  const type = "float32";
  const phase = (row: 0 | 1, column: 0 | 1) => {
    const sums = graph.constant(type, [9, 4], sumsOf(row, column));
    const flat = graph.node("MatMul", [places, sums], { type, dims: [out * channels, 4] });
    const inputs = [small, graph.reshape(flat, [out, channels, 2, 2])];
    return graph.node(
      "Conv",
      bias === undefined ? inputs : [...inputs, bias],
      { type, dims: [batch, out, height, width] },
      {
        kernel_shape: [2, 2],
        strides: [1, 1],
        pads: [1 - row, 1 - column, row, column],
        dilations: [1, 1],
        group: 1,
      },
    );
  };
  return joinPhases(graph, [phase(0, 0), phase(0, 1), phase(1, 0), phase(1, 1)]);
}
