import { philoxAt } from "../../noise/mod.ts";
import { product } from "../algebra/matrix.ts";
import { type Features, rowsOf } from "../algebra/matrix.ts";
import { given, type Metric } from "../metric.ts";

/** Images of a block, and the fewest blocks that still tell a spread. */
const [BLOCK, BLOCKS] = [1000, 10] as const;

/**
 * Kernel inception distance. It is unbiased for any number of images. The images are dealt into
 * blocks that share none, so the spread of the blocks' values gives a true standard error (Zaremba et
 * al. 2013); subsets that overlap, as of other tools, have the same mean.
 */
const kid: Metric = {
  name: "kid",
  summary: "kernel distance (MMD²) of the features, unbiased",
  paper: "https://arxiv.org/abs/1801.01401", // section 4
  needs: ["features"],
  measure({ samples, reference }) {
    const [x, y] = [given(samples.features), given(reference.features)];
    const fewer = Math.min(x.rows, y.rows);
    if (fewer < 2) throw new RangeError("Cannot measure kid of fewer than 2 images");
    const size = Math.max(2, Math.min(BLOCK, Math.floor(fewer / BLOCKS)));
    const { mean, error } = blockwise(x, y, size);
    const about = { label: "KID ×1000", better: "lower", digits: 3 } as const;
    return [{ name: "kid", ...about, value: 1000 * mean, error: 1000 * error }];
  },
};
export default kid;

/** Mean of MMD² over disjoint blocks of both sets in a fixed random order, and its standard error. */
export function blockwise(x: Features, y: Features, size: number): { mean: number; error: number } {
  const blocks = Math.floor(Math.min(x.rows, y.rows) / size);
  const [order, other] = [philoxAt(0, 1).permutation(x.rows), philoxAt(0, 2).permutation(y.rows)];
  const values = Array.from({ length: blocks }, (_, block) => {
    const of = (order: Uint32Array) => order.subarray(block * size, (block + 1) * size);
    return squaredMmd(rowsOf(x, of(order)), rowsOf(y, of(other)));
  });
  const mean = values.reduce((sum, value) => sum + value, 0) / blocks;
  const spread = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(spread / (blocks * Math.max(1, blocks - 1))) };
}

/**
 * The unbiased estimate of MMD² (Gretton et al. 2012, equation 3) with the cubic kernel
 * (aᵀb / dims + 1)³.
 */
export function squaredMmd(x: Features, y: Features): number {
  return within(x) + within(y) - 2 * meanKernel(x, y);
}

function kernel(dot: number, dims: number): number {
  return (dot / dims + 1) ** 3;
}

/** The mean kernel of all pairs of two different images of one set. */
function within(x: Features): number {
  const { values } = product(x, x, true);
  let sum = 0;
  for (let i = 0; i < x.rows; i++) {
    for (let j = 0; j < i; j++) sum += 2 * kernel(values[i * x.rows + j]!, x.columns);
  }
  return sum / (x.rows * (x.rows - 1));
}

function meanKernel(x: Features, y: Features): number {
  const { values } = product(x, y);
  return values.reduce((sum, dot) => sum + kernel(dot, x.columns), 0) / values.length;
}
