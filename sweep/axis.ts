/**
 * What varies in a sweep.
 *
 * @module
 */

/** One thing that varies, and the values that it takes. */
export interface Axis {
  /** Such as `steps` or `cfg scale`. */
  readonly name: string;
  readonly values: readonly string[];
}

/** What was typed for one flag: its axes, and what a choice of their values is typed as. */
export interface Swept {
  readonly axes: readonly Axis[];
  /** The text that `sample` takes for this flag, given a value of each of the axes in order. */
  readonly text: (choice: readonly string[]) => string;
  /** The names of the plugins that it lists. */
  readonly plugins?: readonly string[];
}

/**
 * One axis whose values are what the flag takes.
 *
 * @throws {RangeError} If a value is listed twice: its cells would be the same.
 */
export function plainAxis(name: string, values: readonly string[]): Swept {
  return { axes: [checkAxis({ name, values })], text: ([value = ""]) => value };
}

/** Refuses an axis that takes a value twice. */
export function checkAxis(axis: Axis): Axis {
  const twice = axis.values.find((value, i) => axis.values.indexOf(value) !== i);
  if (twice === undefined) return axis;
  throw new RangeError(`Cannot sweep ${axis.name}: ${twice} is listed twice`);
}

/** All choices of one item of each list, the last list's fastest. */
export function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>(
    (rows, list) => rows.flatMap((row) => list.map((item) => [...row, item])),
    [[]],
  );
}
