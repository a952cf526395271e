/**
 * The figures of a sweep as plots.
 *
 * @module
 */
import { escape } from "../evaluation/html.ts";
import type { Figure } from "../evaluation/metric.ts";
import { colorOf, plot } from "../evaluation/plot.ts";
import { readNumber } from "../plugins/number.ts";
import { type Axis, product } from "./axis.ts";
import type { Grid } from "./grid.ts";

/** What was measured of a cell, and where it stands. */
export interface Measurement {
  /** A value of each axis, by its name. */
  readonly values: Readonly<Record<string, string>>;
  readonly figures?: readonly Figure[] | undefined;
}

/** The figures that stand below a cell and are plotted: fidelity and diversity. */
export const SHORT: readonly string[] = ["accuracy", "precision", "recall", "fid"];

/**
 * Each figure along an axis of numbers, and fidelity against diversity, with a line for each choice of
 * the other axes; nothing where no axis is of numbers. An option, such as a scale, comes before steps
 * and seeds.
 */
export function plotsHtml({ across, down, blocks }: Grid, cells: readonly Measurement[]): string {
  const axes = [across, down, ...blocks].filter(({ values }) => values.length > 1);
  const numbers = axes.filter(({ values }) => !values.map(readNumber).some(Number.isNaN));
  const along = numbers.find(({ name }) => name.includes(" ")) ?? numbers[0];
  if (along === undefined) return "";
  const others = axes.filter((axis) => axis !== along);
  const choices = product(others.map(({ values }) => values));
  const rows = choices.map((choice) =>
    along.values.map((value) => {
      const cell = cells.find(({ values }) =>
        values[along.name] === value && others.every(({ name }, i) => values[name] === choice[i])
      );
      const { figures = [] } = cell ?? {};
      return (name: string) =>
        name === along.name
          ? readNumber(value)
          : figures.find((figure) => figure.name === name)?.value;
    })
  );
  const linesOf = (x: string, y: string) =>
    rows.map((row) => ({
      points: row.flatMap((valueOf) => {
        const [at, height] = [valueOf(x), valueOf(y)];
        return at === undefined || height === undefined ? [] : [[at, height] as const];
      }),
    }));
  const labels = new Map(
    cells.flatMap(({ figures = [] }) => figures.map(({ name, label }) => [name, escape(label)])),
  );
  const name = escape(along.name);
  const drawn = SHORT.filter((figure) => labels.has(figure)).map((figure) =>
    plot({
      title: `${labels.get(figure)} by ${name}`,
      x: name,
      lines: linesOf(along.name, figure),
    })
  );
  const fidelity = ["accuracy", "precision"].find((figure) => labels.has(figure));
  if (fidelity !== undefined && labels.has("recall")) {
    drawn.push(plot({
      title: `${labels.get(fidelity)} against recall`,
      x: "recall",
      lines: linesOf("recall", fidelity),
    }));
  }
  return `<div class="plots">\n${drawn.join("\n")}\n</div>${keyOf(others, choices)}`;
}

/** What the lines are. */
function keyOf(axes: readonly Axis[], choices: readonly (readonly string[])[]): string {
  if (axes.length === 0) return "";
  const items = choices.map((values, index) => {
    const name = values.map((value, i) => `${axes[i]?.name} ${value}`).join(", ");
    return `<li><i style="background:${colorOf(index)}"></i>${escape(name)}</li>`;
  });
  return `\n<ul class="key">${items.join("")}</ul>`;
}
