/**
 * Linear maps of images that act on rows and columns alike.
 *
 * @module
 */
import { matMul, reshape, tensor2d, transpose } from "tfjs";
import type { Images } from "../plugin.ts";

/** What each pixel of a row is made of: `[to][from]`. */
export type Matrix = readonly (readonly number[])[];

/** Weighs the neighbors of each pixel of a row, which is mirrored at its ends, by an odd kernel. */
export function neighbors(size: number, kernel: readonly number[]): Matrix {
  const rows = Array.from({ length: size }, () => Array<number>(size).fill(0));
  for (const [i, row] of rows.entries()) {
    for (const [tap, weight] of kernel.entries()) {
      let at = i + tap - (kernel.length >> 1);
      while (size > 1 && (at < 0 || at >= size)) at = at < 0 ? -at : 2 * (size - 1) - at;
      row[size > 1 ? at : 0] = (row[size > 1 ? at : 0] ?? 0) + weight;
    }
  }
  return rows;
}

/** Images whose columns and rows are mapped by the matrices of their sizes. */
export function separable(images: Images, matrixOf: (size: number) => Matrix): Images {
  const [batch, height, width, channels] = images.shape;
  const matrix = (size: number) => tensor2d(matrixOf(size).map((row) => [...row]));
  const rows = reshape(transpose(images, [1, 0, 2, 3]), [height, batch * width * channels]);
  const tall = reshape(matMul(matrix(height), rows), [height, batch, width, channels]);
  const columns = reshape(transpose(tall, [2, 1, 0, 3]), [width, batch * height * channels]);
  const wide = reshape(matMul(matrix(width), columns), [width, batch, height, channels]);
  return transpose<Images>(wide as Images, [1, 2, 0, 3]);
}
