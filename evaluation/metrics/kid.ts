import { philoxAt } from "../../noise/mod.ts";
import { type Features, product, rowsOf, zeros } from "../algebra/matrix.ts";
import { given, type Metric } from "../metric.ts";

/** Images that are compared of each set at most: all pairs of them are. */
const MOST = 5000;

/** Groups of images that are left out in turn, for the standard error. */
const GROUPS = 10;

/** Kernel inception distance, unbiased for any number of images. */
const kid: Metric = {
  name: "kid",
  summary: "kernel distance (MMD²) of the features, unbiased",
  paper: "https://arxiv.org/abs/1801.01401", // section 4
  needs: ["features"],
  measure({ samples, reference }) {
    const deal = (x: Features, stream: number) =>
      rowsOf(x, philoxAt(0, stream).permutation(x.rows).subarray(0, MOST));
    const [x, y] = [deal(given(samples.features), 1), deal(given(reference.features), 2)];
    if (x.rows < 2 || y.rows < 2) throw new RangeError("Cannot measure kid of fewer than 2 images");
    const { value, error } = squaredMmd(x, y);
    const about = { label: "KID ×1000", better: "lower", digits: 3 } as const;
    return [{ name: "kid", ...about, value: 1000 * value, error: 1000 * error }];
  },
};
export default kid;

/**
 * The unbiased estimate of MMD² (Gretton et al. 2012, equation 3) with the cubic kernel
 * (aᵀb / dims + 1)³, and its standard error by the jackknife: the spread of the estimates without
 * one group of images each.
 */
export function squaredMmd(x: Features, y: Features): { value: number; error: number } {
  const groups = Math.min(GROUPS, Math.floor(Math.min(x.rows, y.rows) / 3));
  const [ofX, ofY] = [groupsOf(x, Math.max(1, groups)), groupsOf(y, Math.max(1, groups))];
  const [xx, yy, xy] = [kernelSums(ofX, ofX), kernelSums(ofY, ofY), kernelSums(ofX, ofY)];
  const estimate = (left?: number): number => {
    const [n, m] = [countOf(ofX, left), countOf(ofY, left)];
    return sumOf(xx, left) / (n * (n - 1)) + sumOf(yy, left) / (m * (m - 1)) -
      2 * sumOf(xy, left) / (n * m);
  };
  const without = groups < 2 ? [] : ofX.map((_, group) => estimate(group));
  const mean = without.reduce((sum, value) => sum + value, 0) / without.length;
  const spread = without.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { value: estimate(), error: Math.sqrt(spread * (groups - 1) / Math.max(1, groups)) };
}

/** Rows cut into groups of about equal size, in their order. */
function groupsOf(x: Features, count: number): Features[] {
  return Array.from({ length: count }, (_, group) => {
    const [from, to] = [group, group + 1].map((it) => Math.floor(it * x.rows / count));
    return rowsOf(x, Uint32Array.from({ length: to! - from! }, (_, i) => from! + i));
  });
}

/** Sums of the kernel over the pairs of two groups; an image is no pair with itself. */
function kernelSums(left: readonly Features[], right: readonly Features[]) {
  const sums = zeros(left.length, right.length);
  left.forEach((a, i) =>
    right.forEach((b, j) => {
      if (left === right && j > i) return; // as [j, i]
      const { values, columns } = product(a, b);
      let sum = 0;
      for (let at = 0; at < values.length; at++) {
        if (a === b && at % (columns + 1) === 0) continue; // the diagonal
        sum += (values[at]! / a.columns + 1) ** 3;
      }
      sums.values[i * right.length + j] = sum;
      if (left === right) sums.values[j * right.length + i] = sum;
    })
  );
  return sums;
}

function countOf(groups: readonly Features[], left: number | undefined): number {
  return groups.reduce((sum, { rows }, group) => group === left ? sum : sum + rows, 0);
}

/** The sum over all pairs of groups without the one that is left out. */
function sumOf({ columns, values }: ReturnType<typeof zeros>, left: number | undefined): number {
  return values.reduce(
    (sum, value, at) =>
      at % columns === left || Math.floor(at / columns) === left ? sum : sum + value,
    0,
  );
}
