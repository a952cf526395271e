/**
 * How the cells of a sweep are laid out: one axis across, one down, and a block for each choice of
 * what is left.
 *
 * @module
 */
import { nearest } from "../plugins/nearest.ts";
import { alternatives } from "../plugins/options.ts";
import { type Axis, product, type Swept } from "./axis.ts";
import { MOST } from "./range.ts";

/** Axes in their places. */
export interface Grid {
  readonly across: Axis;
  /** One value where only one axis varies. */
  readonly down: Axis;
  /** Outermost first. */
  readonly blocks: readonly Axis[];
}

/** What is typed in a cell: a text a flag. */
export type Texts<F extends string> = Readonly<Partial<Record<F, string>>>;

/** A place of the grid. */
export interface Place<F extends string = string> {
  /** A value of each axis that varies, blocks first, across last, by their names. */
  readonly values: Readonly<Record<string, string>>;
  readonly texts: Texts<F>;
}

/** An axis that does not vary. */
const ALONE: Axis = { name: "", values: [""] };

/**
 * Lays axes out: the longest across, the next longest down, unless they are named.
 *
 * @throws {RangeError} If nothing varies, there are too many cells, or no such axis.
 */
export function layOut(
  axes: readonly Axis[],
  { across, down }: { readonly across?: string | undefined; readonly down?: string | undefined } =
    {},
): Grid {
  const varying = axes.filter(({ values }) => values.length > 1);
  if (varying.length === 0) {
    throw new RangeError(
      "Cannot sweep over one cell: give something several values, as in --steps 10,25,50",
    );
  }
  const count = varying.reduce((cells, { values }) => cells * values.length, 1);
  if (count > MOST) {
    const factors = varying.map(({ name, values }) => `${values.length} (${name})`).join(" × ");
    throw new RangeError(
      `Cannot sweep over ${factors} = ${
        count.toLocaleString("en-US")
      } cells: at most ${MOST} are laid out`,
    );
  }
  const [first, second] = [find(varying, across, "across"), find(varying, down, "down")];
  if (first !== undefined && first === second) {
    throw new RangeError(`Cannot lay ${first.name} out both across and down`);
  }
  const longest = (not: readonly (Axis | undefined)[]) =>
    varying.filter((axis) => !not.includes(axis))
      .reduce<Axis | undefined>(
        (most, axis) => most === undefined || axis.values.length > most.values.length ? axis : most,
        undefined,
      );
  const columns = first ?? longest([second]) ?? ALONE;
  const rows = second ?? longest([columns]) ?? ALONE;
  return {
    across: columns,
    down: rows,
    blocks: varying.filter((axis) => axis !== columns && axis !== rows),
  };
}

/** An axis by its name, or by its option alone: `scale` of `cfg scale`. */
function find(axes: readonly Axis[], wanted: string | undefined, flag: string): Axis | undefined {
  if (wanted === undefined) return undefined;
  const found = axes.find(({ name }) => name === wanted) ??
    axes.find(({ name }) => name.endsWith(` ${wanted}`));
  if (found !== undefined) return found;
  const names = axes.map(({ name }) => name);
  const near = nearest(wanted, names);
  throw new RangeError(
    `Cannot lay "${wanted}" out --${flag}: ${
      near === undefined ? `what varies is ${alternatives(names)}` : `did you mean ${near}?`
    }`,
  );
}

/** The cells in reading order. */
export function placesOf<F extends string>(
  { across, down, blocks }: Grid,
  swept: Readonly<Partial<Record<F, Swept>>>,
): Place<F>[] {
  const order = [...blocks, down, across].filter((axis) => axis !== ALONE);
  const given = Object.entries(swept) as [F, Swept][]; // no more keys than its type has
  return product(order.map(({ values }) => values)).map((values) => {
    const valueOf = (axis: Axis) => values[order.indexOf(axis)] ?? axis.values[0] ?? "";
    return {
      values: Object.fromEntries(order.map((axis, i) => [axis.name, values[i] ?? ""])),
      texts: Object.fromEntries(
        given.map(([flag, { axes, text }]) => [flag, text(axes.map(valueOf))]),
      ) as Texts<F>,
    };
  });
}
