/**
 * The Fréchet distance of two Gaussians.
 *
 * @module
 */
import { EigenvalueDecomposition, Matrix as MlMatrix } from "ml-matrix";
import { factorOf } from "./cholesky.ts";
import type { Gaussian } from "./gaussian.ts";
import { type Doubles, product } from "./matrix.ts";

/**
 * The squared Fréchet (Wasserstein-2) distance of two Gaussians (Dowson and Landau 1982):
 * |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½).
 *
 * @throws {RangeError} If they differ in dimensions.
 */
export function frechetDistance(a: Gaussian, b: Gaussian): number {
  const [dims, others] = [a.mean.length, b.mean.length];
  if (dims !== others) {
    throw new RangeError(`Cannot compare features of ${dims} dimensions with some of ${others}`);
  }
  const shift = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]!) ** 2, 0);
  return shift + trace(a.covariance) + trace(b.covariance) - 2 * rootTrace(a, b);
}

function trace({ rows, values }: Doubles): number {
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += values[i * rows + i]!;
  return sum;
}

/**
 * tr (Σ₁ Σ₂)^½ without a root of the product, which is not symmetric and often singular: with
 * Σ₁ = Fᵀ F, the eigenvalues of Σ₁ Σ₂ that are not zero are those of F Σ₂ Fᵀ, which is symmetric
 * and, where F has few rows, small.
 */
function rootTrace(a: Gaussian, b: Gaussian): number {
  const [fewer, more] = (a.count ?? Infinity) <= (b.count ?? Infinity) ? [a, b] : [b, a];
  const factor = factorOf(fewer.covariance);
  const inner = product(product(factor, more.covariance), factor, true);
  return eigenvalues(inner).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

/** The eigenvalues of a symmetric matrix, in no promised order. */
function eigenvalues({ rows, columns, values }: Doubles): number[] {
  if (rows === 0) return [];
  const matrix = MlMatrix.from1DArray(rows, columns, values);
  return new EigenvalueDecomposition(matrix, { assumeSymmetric: true }).realEigenvalues;
}
