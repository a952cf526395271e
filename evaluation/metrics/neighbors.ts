import type { Distances } from "../algebra/distances.ts";
import type { Features } from "../algebra/matrix.ts";
import { given, type Metric } from "../metric.ts";
import { radii } from "./prdc.ts";

/**
 * Memorization: how far the nearest reference image is, and that beside how far reference images are
 * from each other. Where the reference is the training set, a ratio well below 1 means copies.
 */
const neighbors: Metric = {
  name: "neighbors",
  summary: "distance to the nearest reference image, which copies make small",
  paper: "https://arxiv.org/abs/2004.05675", // data-copying, section 3
  needs: ["features"],
  async measure({ samples, reference, distances }) {
    const [x, y] = [given(samples.features), given(reference.features)];
    const distance = mean((await nearestOf(x, y, distances)).map(({ distance }) => distance));
    const own = mean(Array.from(await radii(y, distances, 1), Math.sqrt));
    const about = { better: "near 1", digits: 3 } as const;
    const ratio = distance / own;
    return [
      {
        name: "neighbor_distance",
        label: "Nearest neighbor",
        value: distance,
        ...about,
        better: "higher",
      },
      { name: "neighbor_ratio", label: "… of the reference's own", value: ratio, ...about },
    ];
  },
};
export default neighbors;

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The nearest row of y for each row of x, and how far it is. */
export async function nearestOf(
  x: Features,
  y: Features,
  distances: Distances,
): Promise<{ readonly index: number; readonly distance: number }[]> {
  const squaresOf = new Float32Array(x.rows).fill(Infinity);
  const indices = new Uint32Array(x.rows);
  await distances(x, y, ({ row, rows, column, columns, squares }) => {
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, at++) {
        if (squares[at]! >= squaresOf[row + i]!) continue;
        squaresOf[row + i] = squares[at]!;
        indices[row + i] = column + j;
      }
    }
  });
  return Array.from(indices, (index, row) => ({ index, distance: Math.sqrt(squaresOf[row]!) }));
}
