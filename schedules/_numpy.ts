/** `count` numbers evenly from `start` to `end`, both included; only `start` where count is 1. */
export function linspace(start: number, end: number, count: number): Float64Array<ArrayBuffer> {
  const step = (end - start) / (count - 1);
  const out = new Float64Array(count).map((_, i) => start + i * step);
  if (count > 1) out[count - 1] = end; // not what rounding would leave
  if (count > 0) out[0] = start; // 0 * Infinity where count is 1
  return out;
}

/** The nearest integer; of two that are as near, the even one, as in Python and NumPy. */
export function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
