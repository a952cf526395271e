import { philoxAt } from "../../noise/mod.ts";
import { rowsOf } from "../algebra/matrix.ts";
import { nearestOf } from "../algebra/neighbors.ts";
import { given, type Metric } from "../metric.ts";

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
    const chosen = philoxAt(0, 5).permutation(y.rows).subarray(0, x.rows);
    const some = rowsOf(y, chosen);
    const distance = meanDistance(await nearestOf(x, y, distances));
    const own = meanDistance(await nearestOf(some, y, distances, chosen));
    return [
      {
        name: "neighbor_distance",
        label: "Nearest neighbor",
        value: distance,
        better: "higher",
        digits: 3,
      },
      {
        name: "neighbor_ratio",
        label: "Neighbor ratio",
        value: distance / own,
        better: "near 1",
        digits: 3,
      },
    ];
  },
};
export default neighbors;

function meanDistance(found: readonly { readonly distance: number }[]): number {
  return found.reduce((sum, { distance }) => sum + distance, 0) / found.length;
}
