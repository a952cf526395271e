/**
 * An evaluation as one HTML file that holds all it shows: no script, nothing from elsewhere.
 *
 * @module
 */
import { type Bitmap } from "../images/pixels.ts";
import { encodePng } from "../images/png.ts";
import { makeSheet } from "../images/sheet.ts";
import type { Point } from "./history.ts";
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
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escape(title)}</h1>
<pre>${escape(headline(report).join("\n"))}</pre>
${report.warnings.map((text) => `<p class="warning">${escape(sentence(text))}</p>`).join("\n")}
<h2>Figures</h2>
${figuresTable(report)}
${history.length === 0 ? "" : `<h2>Over the checkpoints</h2>\n${plots(history, report)}`}
<h2>Samples</h2>
${samples.length === 0 ? "" : picture(makeSheet(samples), `${samples.length} samples`, 2)}
${likenesses.length === 0 ? "" : likenessTable(likenesses)}
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
pre { font: 13px/1.5 ui-monospace, monospace; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 1rem 0.25rem 0; text-align: left; border-bottom: 1px solid #8884; }
td.value { font-variant-numeric: tabular-nums; }
img { image-rendering: pixelated; max-width: 100%; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { font-size: 0.85rem; }
.warning { border-left: 4px solid #d90; padding-left: 0.75rem; }
svg { margin: 0 1rem 1rem 0; } svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
.plots { display: flex; flex-wrap: wrap; }
`;

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
      return plot(escape(labels.get(name) ?? name), points);
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
  const png = encodePng(bitmap.pixels, bitmap);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  return `<img width="${width}" height="${height}" alt="${alt}" src="data:image/png;base64,${
    base64(png)
  }">`;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
