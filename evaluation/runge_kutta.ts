/**
 * The adaptive solver of Dormand and Prince for systems of ordinary differential equations.
 *
 * @module
 */

/** dy/dt at t; the array that it returns is not changed by anybody. */
export type Derivative = (t: number, y: Float64Array) => Promise<Float64Array>;

/** How exact a solution is to be. */
export interface Tolerances {
  /** Largest error of a step as a share of each value. */
  readonly relative: number;
  /** What is added to that. */
  readonly absolute: number;
}

/** The tableau of RK5(4)7M (Dormand and Prince 1980): where stages lie and what they are made of. */
const NODES = [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1] as const;
const STAGES = [
  [],
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
] as const;
/** The fifth-order solution less the fourth-order one. */
const ERROR = [
  71 / 57600,
  0,
  -71 / 16695,
  71 / 1920,
  -17253 / 339200,
  22 / 525,
  -1 / 40,
] as const;

/** No step is changed by more than these factors, and all stay a little below what would do. */
const [SHRINK, GROW, SAFETY] = [0.2, 10, 0.9] as const;

/** Below this share of the interval a step is too small to mean anything. */
const SMALLEST = 1e-10;

/**
 * y at `end`, from y at `start`, with steps whose error stays within the tolerances (its root mean
 * square over all values).
 *
 * @param onAdvance told the share of the interval that lies behind.
 * @throws {RangeError} Where no step is small enough: the solution is not smooth, or not finite.
 */
export async function solve(
  derivative: Derivative,
  [start, end]: readonly [start: number, end: number],
  initial: Float64Array,
  { relative, absolute }: Tolerances,
  onAdvance?: (share: number) => void,
): Promise<Float64Array> {
  const length = end - start;
  let [t, step] = [start, length / 50];
  let y = initial;
  let first = await derivative(t, y);
  while (Math.abs(end - t) > Math.abs(length) * 1e-12) {
    if (Math.abs(step) > Math.abs(end - t)) step = end - t;
    if (Math.abs(step) < Math.abs(length) * SMALLEST) {
      throw new RangeError(`Cannot solve the flow past ${t}: no step is small enough there`);
    }
    const slopes = [first];
    let next = y;
    for (let stage = 1; stage < STAGES.length; stage++) {
      next = moved(y, slopes, STAGES[stage] ?? [], step);
      slopes.push(await derivative(t + (NODES[stage] ?? 0) * step, next));
    }
    const off = moved(new Float64Array(y.length), slopes, ERROR, step);
    const size = rootMeanSquare(
      off.map((value, i) =>
        value / (absolute + relative * Math.max(Math.abs(y[i] ?? 0), Math.abs(next[i] ?? 0)))
      ),
    );
    if (size <= 1) {
      t += step;
      y = next; // the last stage lies at the step's end
      first = slopes.at(-1) ?? first;
      onAdvance?.((t - start) / length);
    }
    const factor = SAFETY * size ** -0.2;
    step *= Number.isFinite(size) ? Math.min(GROW, Math.max(SHRINK, factor)) : SHRINK;
  }
  return y;
}

/** y + step · Σ weight · slope. */
function moved(
  y: Float64Array,
  slopes: readonly Float64Array[],
  weights: readonly number[],
  step: number,
): Float64Array {
  return y.map((value, i) => {
    let slope = 0;
    for (const [stage, weight] of weights.entries()) slope += weight * (slopes[stage]?.[i] ?? 0);
    return value + step * slope;
  });
}

function rootMeanSquare(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}
