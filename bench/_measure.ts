/**
 * Measurements in turns, their medians and ratios, and the table of them.
 *
 * @module
 */
import type { Helper } from "./_lines.ts";

/** One of the programs that are compared. */
export interface Side {
  readonly name: string;
  /** Measures once: a number, or two where the case has a second unit. */
  once(): Promise<number | readonly [number, number]>;
}

/** The helpers that a case may ask. */
export interface Helpers {
  readonly ours: Helper;
  readonly training: Helper;
  readonly torch: Helper;
  readonly tunedTorch: Helper;
  readonly secondTorch: Helper;
  readonly ort: Helper;
  readonly launcher: Helper;
  close(...names: string[]): Promise<void>;
}

/** Least ratios, by the side that ours is compared with: how many times ours is better. */
export type Bars = Readonly<Record<string, number>>;

/** Something to measure. */
export interface Case {
  readonly name: string;
  readonly unit: string;
  readonly rounds: number;
  readonly bars: Bars;
  /** The most that ours may be. */
  readonly most?: number;
  readonly second?: { readonly unit: string; readonly bars: Bars };
  /** Makes the sides ready, ours first; the difference is that of ours from the next. */
  open(helpers: Helpers): Promise<{ readonly sides: Side[]; readonly difference?: number }>;
  close?(helpers: Helpers): Promise<void>;
}

/** What was measured of one side. */
export interface Measured {
  readonly side: string;
  readonly values: readonly number[];
  readonly median: number;
}

/** A row of the table: less is better. */
export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly sides: readonly Measured[];
  /** By side: its median over ours. */
  readonly ratios: Bars;
  readonly bars: Bars;
  readonly most?: number | undefined;
  readonly holds?: boolean | undefined;
  /** Of the outputs, ours from the next, as a share of the largest value. */
  readonly difference?: number | undefined;
}

const PAUSE = 100; // ms in which the threads of the side before fall asleep

/** Measures the sides in turns. */
export async function measure(
  sides: readonly Side[],
  rounds: number,
): Promise<Map<string, (readonly number[])[]>> {
  const found = new Map<string, (readonly number[])[]>(sides.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, once } of sides) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      const value = await once();
      found.get(name)?.push(typeof value === "number" ? [value] : value);
    }
  }
  return found;
}

/** The median. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** The rows of a case: one a unit. */
export function ratiosOf(
  { name, unit, bars, most, second }: Pick<Case, "name" | "unit" | "bars" | "most" | "second">,
  measured: ReadonlyMap<string, readonly (readonly number[])[]>,
  difference: number | undefined,
): Result[] {
  const units = [
    { unit, bars, most },
    ...second === undefined ? [] : [{ ...second, most: undefined }],
  ];
  return units.map(({ unit, bars, most }, column) => {
    const sides = [...measured].map(([side, rows]): Measured => {
      const values = rows.map((row) => row[column] ?? NaN);
      return { side, values, median: medianOf(values) };
    });
    const [ours, ...others] = sides;
    const ratios: Bars = Object.fromEntries(
      others.map(({ side, median }) => [side, median / (ours?.median ?? NaN)]),
    );
    const checks = Object.entries(bars).map(([side, bar]) => (ratios[side] ?? NaN) >= bar);
    if (most !== undefined) checks.push((ours?.median ?? NaN) <= most);
    return {
      name,
      unit,
      sides,
      ratios,
      bars,
      most,
      holds: checks.length === 0 ? undefined : checks.every(Boolean),
      difference: column === 0 ? difference : undefined,
    };
  });
}

const short = (value: number) => value >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** The results as a Markdown table. */
export function printTable(results: readonly Result[]): string {
  const head = ["case", "unit", "ours", "others", "times better", "bar", "holds", "difference"];
  const rows = results.map(({ name, unit, sides, ratios, bars, most, holds, difference }) => {
    const [ours, ...others] = sides;
    const asked = Object.entries(bars).map(([side, bar]) => `${bar} (${side})`);
    return [
      name,
      unit,
      short(ours?.median ?? NaN),
      others.map(({ side, median }) => `${side} ${short(median)}`).join("; "),
      Object.values(ratios).map((ratio) => ratio.toFixed(2)).join("; "),
      [...asked, ...most === undefined ? [] : [`at most ${most} ${unit}`]].join("; "),
      holds === undefined ? "" : holds ? "yes" : "NO",
      difference === undefined ? "" : difference.toExponential(1),
    ];
  });
  const table = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`]
    .concat(rows.map(line)).join("\n");
}
