/**
 * The spherical interpolation of noise (Shoemake 1985; DDIM, section 5.3), whose norm does not fall in
 * the middle as that of a mean would.
 *
 * @param share 0 is a, 1 is b.
 *
 * @example
 * ```ts
 * import { slerp } from "./slerp.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const [x = NaN] = slerp(Float32Array.of(1, 0), Float32Array.of(0, 1), 0.5);
 * assertAlmostEquals(x, Math.SQRT1_2, 1e-6);
 * ```
 */
export function slerp(
  a: Float32Array,
  b: Float32Array,
  share: number,
): Float32Array<ArrayBuffer> {
  if (a.length !== b.length) throw new RangeError("Cannot interpolate noise of different sizes");
  if (share === 0) return Float32Array.from(a);
  if (share === 1) return Float32Array.from(b);
  let [dot, squareA, squareB] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? NaN;
    dot += value * other;
    squareA += value ** 2;
    squareB += other ** 2;
  }
  const cosine = dot / Math.sqrt(squareA * squareB);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const sine = Math.sin(angle);
  // Along one line there is no arc: neither for equal noise nor for opposite.
  const [left, right] = sine < 1e-6
    ? [1 - share, share]
    : [Math.sin((1 - share) * angle) / sine, Math.sin(share * angle) / sine];
  return a.map((value, i) => left * value + right * (b[i] ?? NaN)) as Float32Array<ArrayBuffer>;
}
