/**
 * z times the function phi_k of exponential integrators: `e^z - 1`, then each the one before divided
 * by z, less `1 / (k - 1)!`. It is what the derivative k - 1 of the model's answer weighs in a step.
 *
 * @param z At most 0 where it may be infinite.
 */
export function zphi(k: 1 | 2 | 3 | 4, z: number): number {
  if (k === 1) return Math.expm1(z);
  if (Math.abs(z) < 1) { // the series, where the recursion would cancel
    let [sum, term] = [0, z];
    for (let i = 1; i <= 24; i++) {
      term /= i;
      if (i < k) continue;
      sum += term;
      term *= z;
    }
    return sum;
  }
  const factorial = k === 4 ? 6 : k - 1;
  return zphi(k - 1 as 1 | 2 | 3, z) / z - 1 / factorial;
}
