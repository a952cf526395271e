import { combine, fromX0, type Guidance } from "../plugin.ts";
import { type Matrix, neighbors, separable } from "./_separable.ts";

const options = {
  low: {
    type: "number",
    default: 2,
    min: 0,
    varies: true,
    help: "scale of low frequencies: composition and color; 1 is off",
  },
  high: {
    type: "number",
    default: 6,
    min: 0,
    varies: true,
    help: "scale of high frequencies: detail; 1 is off",
  },
  levels: { type: "number", default: 1, min: 1, max: 8, integer: true, help: "halvings of size" },
} as const;

const KERNEL = [1, 4, 6, 4, 1].map((tap) => tap / 16);

/** Linear interpolation of a row of pixels to another size. */
function resize(from: number, to: number): Matrix {
  return Array.from({ length: to }, (_, i) => {
    const row = Array<number>(from).fill(0);
    const at = Math.max(0, Math.min(from - 1, (i + 0.5) * from / to - 0.5));
    const [left, share] = [Math.floor(at), at % 1];
    row[left] = 1 - share;
    if (share > 0) row[left + 1] = share;
    return row;
  });
}

function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) =>
    (b[0] ?? []).map((_, j) => row.reduce((sum, each, k) => sum + each * (b[k]?.[j] ?? 0), 0))
  );
}

/** What a Gaussian pyramid keeps of a row: blurred and halved, then doubled and blurred. */
function lowPass(size: number, levels: number): Matrix {
  if (levels === 0 || size === 1) return resize(size, size);
  const half = Math.ceil(size / 2);
  const down = product(resize(size, half), neighbors(size, KERNEL));
  const up = product(neighbors(size, KERNEL), resize(half, size));
  return product(up, product(lowPass(half, levels - 1), down));
}

/**
 * Frequency-decoupled guidance: the difference of the two halves is parted by a Laplacian pyramid,
 * and low and high frequencies are guided by scales of their own.
 */
const frequency: Guidance<typeof options> = {
  name: "frequency",
  summary: "cfg with one scale for low frequencies and one for high ones",
  paper: "https://arxiv.org/abs/2506.19713", // Algorithm 1
  options,
  needs: ["unconditional"],
  async guide(prediction, { x, at, unconditional, options: { low, high, levels } }) {
    if (low === 1 && high === 1) return prediction;
    const { x0, ...rest } = prediction;
    const difference = combine([1, x0], [-1, (await unconditional()).x0]);
    const guided = combine(
      [1, x0],
      [high - 1, difference],
      [low - high, () => separable(difference, (size) => lowPass(size, levels))],
    );
    return fromX0(x, at, guided, rest);
  },
};
export default frequency;
