/**
 * A sweep as one HTML file: cells in rows and columns; who points at one, or comes to it by the
 * keyboard, sees its trajectory played and its settings below.
 *
 * @module
 */
import { escape, pageFile, pictureUri } from "../evaluation/html.ts";
import { valueText } from "../evaluation/report.ts";
import type { Bitmap } from "../images/pixels.ts";
import { product } from "./axis.ts";
import { type Measurement, plotsHtml, SHORT } from "./figures.ts";
import { stripOf, thin } from "./film.ts";
import type { Grid } from "./grid.ts";

/** What a page shows of a cell. */
export interface Shown extends Measurement {
  /** What else it was made with and took, in rows of the card. */
  readonly about: readonly (readonly [name: string, value: string])[];
  /** On the way from noise, the last one is the result; absent where there is none. */
  readonly film?: readonly Bitmap[] | undefined;
  /** Why there is none. */
  readonly missing?: string | undefined;
}

/** All that a page shows. */
export interface SweepPage {
  readonly title: string;
  /** What is the same in all cells. */
  readonly note: string;
  readonly grid: Grid;
  /** In reading order. */
  readonly cells: readonly Shown[];
  /** What the figures are of. */
  readonly measured?: string | undefined;
}

/** A cell's width in pixels, at least. */
const EDGE = 112;

/** Bytes of all films before they are packed, about: noise cannot be. */
const FILMS = 40e6;

const STYLE = `
body { max-width: none; margin: 2rem; padding: 0 0 17rem; }
.blocks { overflow-x: auto; }
.blocks table { margin-bottom: 1.5rem; }
.blocks th, .blocks td { border: 0; padding: 0 8px 8px 0; text-align: center; vertical-align: middle; }
.blocks th { font-weight: normal; max-width: 12rem; overflow-wrap: anywhere; }
.blocks thead th { vertical-align: bottom; }
.blocks .axis { font-weight: bold; text-align: left; }
.blocks tbody th, .blocks .corner {
  position: sticky; left: 0; z-index: 1; background: Canvas; padding-right: 12px; text-align: right;
}
.cell { width: var(--w); cursor: default; }
.film {
  width: var(--w); height: var(--h); image-rendering: pixelated;
  background: var(--film) 100% 0 / calc(var(--frames) * 100%) 100%;
}
.cell:focus { outline: 3px solid Highlight; outline-offset: 2px; }
.cell:hover .film, .cell:focus-within .film {
  animation: play calc(var(--frames) * 0.16s) steps(var(--frames), jump-none) infinite;
}
@keyframes play { from { background-position: 0 0; } 75%, to { background-position: 100% 0; } }
.still .film { animation: none !important; }
.missing { width: var(--w); min-height: var(--h); display: grid; place-items: center;
  background: #8882; font-size: 0.8rem; overflow-wrap: anywhere; }
.figures { font-size: 0.8rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.card, .hint {
  position: fixed; inset: auto 0 0 0; min-height: 15rem; box-sizing: border-box; padding: 1rem 2rem;
  background: Canvas; border-top: 1px solid #8886; text-align: left;
}
.card { display: none; gap: 2rem; z-index: 3; max-height: 60vh; overflow: auto; }
.cell:focus-within .card { display: flex; }
.cell:hover .card { display: flex; z-index: 4; }
.card .film { --w: calc(var(--ratio) * 12.5rem); --h: 12.5rem; flex: none; }
.card dl { columns: 20rem 3; margin: 0; font-size: 0.85rem; flex: 1; align-self: flex-start; }
.card dl div { display: grid; grid-template-columns: 7rem minmax(0, 1fr); break-inside: avoid; }
.card dt { opacity: 0.7; } .card dd { margin: 0; overflow-wrap: anywhere; }
.card .value { font-weight: bold; }
.hint { margin: 0; z-index: 2; color: color-mix(in srgb, CanvasText 70%, Canvas); }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.5rem; padding: 0; font-size: 0.85rem; }
.key i { display: inline-block; width: 1.5em; height: 3px; margin-right: 0.5em; vertical-align: middle; }
@media (prefers-reduced-motion: reduce) { .film { animation: none !important; } }
@media print { body { padding: 0; } .card, .hint { display: none !important; } }
`;

/** The page's file. */
export function sweepPage({ title, note, grid, cells, measured }: SweepPage): string {
  const figures = measured === undefined ? "" : `<h2>Fidelity and diversity</h2>
<p>${escape(measured)}</p>
${plotsHtml(grid, cells)}
<h2>Cells</h2>`;
  return pageFile(
    title,
    `<p>${escape(note)}</p>
${figures}
<div class="blocks">
${blocksHtml(grid, cells)}
</div>
<p class="hint">Point at a cell, or come to it with the Tab key: its way from noise, its settings and
its time are shown here.</p>`,
    STYLE,
  );
}

function blocksHtml({ across, down, blocks }: Grid, cells: readonly Shown[]): string {
  const columns = across.values.length;
  const size = down.values.length * columns;
  const bytes = Math.max(1, ...cells.map(({ film = [] }) => film[0]?.pixels.length ?? 0));
  const frames = Math.floor(FILMS / bytes / cells.length);
  const heads = across.values.map((value) => `<th scope="col">${escape(value)}</th>`).join("");
  return product(blocks.map(({ values }) => values)).map((values, block) => {
    const rows = down.values.map((value, row) => {
      const start = block * size + row * columns;
      const items = cells.slice(start, start + columns).map((cell, i) =>
        cellHtml(cell, start + i, frames)
      );
      return `<tr><th scope="row">${escape(value)}</th>${
        items.map((item) => `<td>${item}</td>`).join("")
      }</tr>`;
    });
    const heading = values.map((value, i) => `${blocks[i]?.name} ${value}`).join(" · ");
    return `${heading === "" ? "" : `<h2>${escape(heading)}</h2>\n`}<table>
<thead>
<tr><td class="corner"></td><th class="axis" colspan="${columns}" scope="colgroup">${
      escape(across.name)
    }</th></tr>
<tr><td class="corner axis">${escape(down.name)}</td>${heads}</tr>
</thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>`;
  }).join("\n");
}

/** A cell with at most so many frames of its film. */
function cellHtml(
  { values, about, film: whole = [], missing, figures = [] }: Shown,
  number: number,
  frames: number,
): string {
  const name = escape(Object.entries(values).map((pair) => pair.join(" ")).join(", "));
  const film = thin(whole, frames);
  const [frame] = film;
  if (frame === undefined) {
    const size = `--w:${EDGE}px;--h:${EDGE}px`;
    return `<div class="missing" style="${size}">${escape(missing ?? "not drawn")}</div>`;
  }
  const zoom = Math.max(1, Math.round(EDGE / frame.width));
  const strip = pictureUri(stripOf(film));
  const style = [
    `--w:${frame.width * zoom}px`,
    `--h:${frame.height * zoom}px`,
    `--ratio:${frame.width / frame.height}`,
    `--frames:${film.length}`,
    `--film:url(${strip})`,
  ].join(";");
  const rows = [
    ...Object.entries(values).map(([name, value]) => row(name, value, "value")),
    ...about.filter(([name, value]) => values[name.toLowerCase()] !== value)
      .map(([name, value]) => row(name, value)),
    ...figures.map((figure) => row(figure.label, valueText(figure))),
  ];
  const below = figures.filter(({ name }) => SHORT.includes(name)).map(({ label, value, digits }) =>
    `${escape(label.replace(/^Class a/, "A"))} ${value.toFixed(Math.min(2, digits))}`
  );
  const still = film.length === 1 ? " still" : ""; // of one step
  return `<div class="cell${still}" tabindex="0" role="group" aria-label="${name}" aria-describedby="c${number}" style="${style}">
<div class="film" role="img" aria-label="${name}"></div>${
    below.length === 0 ? "" : `<div class="figures">${below.join("<br>")}</div>`
  }
<div class="card" id="c${number}"><div class="film"></div><dl>${rows.join("")}</dl></div>
</div>`;
}

function row(name: string, value: string, kind = ""): string {
  return `<div><dt>${escape(name)}</dt><dd${kind && ` class="${kind}"`}>${
    escape(value)
  }</dd></div>`;
}
