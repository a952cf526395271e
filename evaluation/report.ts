/**
 * What an evaluation has found, for people and for programs.
 *
 * @module
 */
import type { Measured } from "./evaluate.ts";
import type { Figure } from "./metric.ts";
import { ENOUGH } from "./metrics/fid_infinity.ts";

/** One side of the comparison. */
export interface Described {
  /** As it was typed, or the model's name. */
  readonly name: string;
  readonly count: number;
  /** Such as `32x32 grey`; absent where saved statistics do not say. */
  readonly size?: string | undefined;
  /** How samples were drawn, where they were drawn here. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

/** All of a report. */
export interface Report extends Measured {
  readonly samples: Described;
  readonly reference: Described;
  /** What figures are made of: those of other features cannot be compared. */
  readonly features: string;
  /** Numbers of a feature. */
  readonly dims: number;
  readonly warnings: readonly string[];
}

const number = (count: number) => count.toLocaleString("en-US");

/** What makes figures less than they seem. */
export function warningsOf(
  { samples, reference, dims }: Pick<Report, "samples" | "reference" | "dims">,
): string[] {
  const few = samples.count < ENOUGH
    ? [
      `FID of ${
        number(samples.count)
      } images is too high by its bias: read FID∞ and KID beside it, and compare only with figures of as many images`,
    ]
    : [];
  const fewer = reference.count < ENOUGH
    ? [`the reference has ${number(reference.count)} images: figures depend on which ones`]
    : [];
  const singular = samples.count <= dims
    ? [
      `${number(samples.count)} images span fewer dimensions than the ${number(dims)} of a feature`,
    ]
    : [];
  return [...few, ...fewer, ...singular];
}

/** One line about each side: what it is, and of how many images. */
export function headline({ samples, reference, features, dims }: Report): string[] {
  const side = ({ name, count, size }: Described) =>
    `${name}, ${number(count)} images${size === undefined ? "" : ` of ${size}`}`;
  return [
    `samples    ${side(samples)}`,
    ...samples.settings === undefined ? [] : [`           ${settingsLine(samples.settings)}`],
    `reference  ${side(reference)}`,
    `features   ${features}, ${number(dims)} dimensions`,
  ];
}

/** How samples were drawn, in one line. */
export function settingsLine(settings: Readonly<Record<string, unknown>>): string {
  return Object.entries(settings).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(" + ") : value}`).join(
      ", ",
    );
}

/** A figure's value with its error and interval, as text. */
export function valueText({ value, error, interval, digits }: Figure): string {
  const text = (value: number) => value.toFixed(digits);
  const spread = error === undefined ? "" : ` ± ${text(error)}`;
  const range = interval === undefined ? "" : ` [${text(interval[0])}, ${text(interval[1])}]`;
  return `${text(value)}${spread}${range}`;
}

/** The report as a table; every figure with the number of images. */
export function reportText(report: Report): string {
  return [headline(report).join("\n"), figuresText(report, report.samples.count)].join("\n\n");
}

/** Figures as a table, and what could not be measured. */
export function figuresText({ figures, skipped }: Measured, images: number): string {
  const rows = figures.map((figure) => [
    figure.label,
    valueText(figure),
    `n = ${number(figure.count ?? images)}`,
    figure.better === "near 1" ? "best near 1" : `${figure.better} is better`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  const lines = rows.map(([label, value, count, better]) =>
    `${label!.padEnd(widths[0]!)}  ${value!.padEnd(widths[1]!)}  ${
      count!.padEnd(widths[2]!)
    }  ${better}`
  );
  const left = skipped.map(({ metric, reason }) => `${metric}: not measured, ${reason}`);
  return [lines, left].filter((part) => part.length > 0)
    .map((part) => part.join("\n")).join("\n\n");
}

/** The report for programs. */
export function reportJson({ figures, skipped, ...rest }: Report): Record<string, unknown> {
  return { ...rest, ...figuresJson({ figures, skipped }) };
}

/** Figures for programs, by name. */
export function figuresJson({ figures, skipped }: Measured): Record<string, unknown> {
  return {
    skipped,
    figures: Object.fromEntries(
      figures.map(({ name, value, error, interval, series }) =>
        [name, { value, error, interval, ...series }] as const
      ),
    ),
  };
}
