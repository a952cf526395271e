/**
 * An evaluation as one HTML file.
 *
 * @module
 */
import { type Bitmap } from "../images/pixels.ts";
import { makeSheet } from "../images/sheet.ts";
import type { Point } from "./history.ts";
import { escape, pageFile, pictureUri } from "./html.ts";
import { plot } from "./plot.ts";
import { headline, type Report, valueText } from "./report.ts";

/** A sample and the reference images nearest to it, with their distances in feature space. */
export interface Likeness {
  readonly sample: Bitmap;
  readonly nearest: readonly { readonly image: Bitmap; readonly distance: number }[];
}

/** All that a page shows. */
export interface Page {
  readonly report: Report;
  /** Some samples, for the sheet. */
  readonly samples: readonly Bitmap[];
  /** The samples that lie nearest to the reference. */
  readonly likenesses: readonly Likeness[];
  /** Figures over checkpoints; empty where samples come from no run. */
  readonly history: readonly Point[];
}

/** The page's file. */
export function pageHtml({ report, samples, likenesses, history }: Page): string {
  const title = `${report.samples.name} against ${report.reference.name}`;
  const warnings = report.warnings.map((text) =>
    `<p class="warning">${escape(sentence(text))}</p>`
  );
  return pageFile(
    title,
    `<pre>${escape(headline(report).join("\n"))}</pre>
${warnings.join("\n")}
<h2>Figures</h2>
${figuresTable(report)}
${history.length === 0 ? "" : `<h2>Over the checkpoints</h2>\n${plots(history, report)}`}
<h2>Samples</h2>
${samples.length === 0 ? "" : picture(makeSheet(samples), `${samples.length} samples`, 2)}
${likenesses.length === 0 ? "" : likenessTable(likenesses)}`,
  );
}

function figuresTable({ figures, skipped, samples }: Report): string {
  const count = samples.count.toLocaleString("en-US");
  const rows = figures.map((figure) => {
    const better = figure.better === "near 1" ? "best near 1" : `${figure.better} is better`;
    return `<tr><th scope="row">${escape(figure.label)}</th><td class="value">${
      escape(valueText(figure))
    }</td><td>${count} images</td><td>${better}</td></tr>`;
  });
  const left = skipped.map(({ metric, reason }) =>
    `<tr><th scope="row">${escape(metric)}</th><td colspan="3">not measured: ${
      escape(reason)
    }</td></tr>`
  );
  return `<table>\n${[...rows, ...left].join("\n")}\n</table>`;
}

/** One plot a figure, in the order of the report; those that only the log has come last. */
function plots(history: readonly Point[], { figures }: Report): string {
  const labels = new Map(figures.map(({ name, label }) => [name, label]));
  const logged = history.flatMap(({ figures }) => Object.keys(figures));
  const names = [...new Set([...labels.keys(), ...logged])].filter((name) => logged.includes(name));
  return `<div class="plots">\n${
    names.map((name) => {
      const points = history.flatMap(({ step, figures }) =>
        figures[name] === undefined ? [] : [[step, figures[name]] as const]
      );
      return plot({ title: escape(labels.get(name) ?? name), x: "step", lines: [{ points }] });
    }).join("\n")
  }\n</div>`;
}

function likenessTable(likenesses: readonly Likeness[]): string {
  const rows = likenesses.map(({ sample, nearest }) =>
    `<tr><td>${picture(sample, "a sample", 2)}</td>${
      nearest.map(({ image, distance }) =>
        `<td>${picture(image, "a reference image", 2)}<br>${distance.toFixed(3)}</td>`
      ).join("")
    }</tr>`
  );
  const count = likenesses[0]?.nearest.length ?? 0;
  return `<h2>Nearest neighbors</h2>
<p>The samples that lie nearest to the reference, and the reference images nearest to each, with
their distance in the space of the features. Copies of training images would stand here.</p>
<table>\n<tr><th>Sample</th><th colspan="${count}">Reference</th></tr>\n${
    rows.join("\n")
  }\n</table>`;
}

/** An image inside the page, at a whole multiple of its size. */
function picture(bitmap: Bitmap, alt: string, scale: number): string {
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  return `<img width="${width}" height="${height}" alt="${alt}" src="${pictureUri(bitmap)}">`;
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
