import { matMul, reshape, tensor2d, transpose } from "tfjs";
import { combine, fromX0, type Guidance, type Images } from "../plugin.ts";

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
type Matrix = readonly (readonly number[])[];

/** A square matrix that blurs a row of pixels, mirrored at its ends. */
function blur(size: number): Matrix {
  const rows = Array.from({ length: size }, () => Array<number>(size).fill(0));
  for (const [i, row] of rows.entries()) {
    for (const [tap, weight] of KERNEL.entries()) {
      let at = i + tap - 2;
      while (size > 1 && (at < 0 || at >= size)) at = at < 0 ? -at : 2 * (size - 1) - at;
      row[size > 1 ? at : 0] = (row[size > 1 ? at : 0] ?? 0) + weight;
    }
  }
  return rows;
}

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
  const down = product(resize(size, half), blur(size));
  const up = product(blur(size), resize(half, size));
  return product(up, product(lowPass(half, levels - 1), down));
}

/** The low frequencies of images. */
function lowOf(images: Images, levels: number): Images {
  const [batch, height, width, channels] = images.shape;
  const matrix = (size: number) => tensor2d(lowPass(size, levels).map((row) => [...row]));
  const rows = reshape(transpose(images, [1, 0, 2, 3]), [height, batch * width * channels]);
  const tall = reshape(matMul(matrix(height), rows), [height, batch, width, channels]);
  const columns = reshape(transpose(tall, [2, 1, 0, 3]), [width, batch * height * channels]);
  const wide = reshape(matMul(matrix(width), columns), [width, batch, height, channels]);
  return transpose<Images>(wide as Images, [1, 2, 0, 3]);
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
      [low - high, () => lowOf(difference, levels)],
    );
    return fromX0(x, at, guided, rest);
  },
};
export default frequency;
