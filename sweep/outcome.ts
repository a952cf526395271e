/**
 * What has become of a sweep's cells, in words and for programs.
 *
 * @module
 */
import type { Measured } from "../evaluation/evaluate.ts";
import { figuresJson } from "../evaluation/report.ts";
import { describeRoute } from "../pipeline/settings.ts";
import type { Cell, Finished } from "./cell.ts";
import type { Grid } from "./grid.ts";
import type { Shown } from "./page.ts";

/** A cell that was drawn, or why it was not; neither where there was no time for it. */
export interface Outcome {
  finished?: Finished;
  failure?: string;
  measured?: Measured;
}

/** Rows that say how a cell is made. */
function aboutOf({ model, settings }: Cell): [name: string, value: string][] {
  return [
    ["Model", model.name],
    ["Sampler", settings.sampler],
    ["Guidance", settings.guidance.join(" + ")],
    ["Path", describeRoute(settings)],
    ["Steps", String(settings.steps)],
    ["Class", settings.classes.slice(0, settings.count).join(" ") || "none"],
    ["Seed", String(settings.seed)],
    ["Noise", settings.rng],
  ];
}

/** What is the same in all cells. */
export function noteOf(cells: readonly Cell[]): string {
  const [first = [], ...rest] = cells.map(aboutOf);
  const same = first.filter(([name, value], i) =>
    name !== "Model" && rest.every((about) => about[i]?.[1] === value)
  );
  const count = cells[0]?.settings.count ?? 0;
  const images = `${count} ${count === 1 ? "image" : "images"} a cell`;
  return [images, ...same.map(([name, value]) => `${name.toLowerCase()} ${value}`)].join(" · ");
}

/** What is swept, and over what. */
export function titleOf(cells: readonly Cell[], { across, down, blocks }: Grid): string {
  const names = [across, down, ...blocks].map(({ name }) => name);
  const models = new Set(cells.map(({ model }) => model.name));
  return `${[...models].join(" and ")} by ${names.filter((name) => name !== "").join(", ")}`;
}

/** A cell for the page. */
export function shownOf(cell: Cell, { finished, failure, measured }: Outcome = {}): Shown {
  const { cost, film, file } = finished ?? {};
  const took: [string, string][] = cost === undefined ? [] : [
    ["Time", `${cost.seconds.toFixed(2)} s`],
    ["Calls", `${cost.calls} of the network`],
  ];
  const kept: [string, string][] = file === undefined ? [] : [["File", file]];
  return {
    values: cell.values,
    about: [...took, ...aboutOf(cell), ...kept],
    film,
    missing: failure,
    figures: measured?.figures,
  };
}

/** A cell for programs. */
export function cellJson(
  { values, settings }: Cell,
  { finished, failure, measured }: Outcome = {},
): Record<string, unknown> {
  return {
    values,
    settings: { ...settings, seed: String(settings.seed) },
    ...finished?.cost,
    file: finished?.file,
    failure,
    ...measured && figuresJson(measured),
  };
}
