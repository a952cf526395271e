/**
 * A sweep as one picture: cells in rows and columns, their axes written beside them.
 *
 * @module
 */
import { DESCENT, drawText, type Lettering, textWidth, wrapText } from "../images/lettering.ts";
import type { Bitmap } from "../images/pixels.ts";
import { product } from "./axis.ts";
import type { Grid } from "./grid.ts";

/** What a sheet shows. */
export interface Sheet {
  readonly title: string;
  /** What is the same in all cells. */
  readonly note: string;
  readonly grid: Grid;
  /** In reading order, as `placesOf()` has them; undefined where there is none. */
  readonly pictures: readonly (Bitmap | undefined)[];
}

const [TITLE, HEAD, LABEL, NOTE, DASH] = [
  { size: 15, weight: 0.15, ink: 20 },
  { size: 12, weight: 0.15, ink: 20 },
  { size: 12, ink: 40 },
  { size: 11, ink: 90 },
  { size: 12, ink: 150 },
] as const satisfies Lettering[];
const [PAPER, MISSING] = [255, 236] as const; // bytes of grey

/** Pixels: around the sheet, between cells, between blocks, beside and below labels. */
const [MARGIN, GAP, BLOCK, BESIDE, BELOW] = [24, 8, 28, 14, 4] as const;
/** Pixels: of a cell at least, of a row's label and of the sheet's texts at most. */
const [EDGE, ROW, NARROW] = [128, 200, 400] as const;

/** The height of a line of text. */
const leading = ({ size }: Lettering) => Math.round(size * (1 + DESCENT) * 1.3);
const heightOf = (lines: readonly string[], lettering: Lettering) =>
  lines.length * leading(lettering);
/** The height of a block's heading with what is left free below it. */
const headingOf = (lines: readonly string[]) => lines.length && heightOf(lines, TITLE) + 6;

/** Sizes, places and broken lines. */
interface Layout {
  /** The cell's size. */
  readonly width: number;
  readonly height: number;
  /** Where cells begin and where the widest line ends. */
  readonly left: number;
  readonly right: number;
  readonly note: readonly string[];
  /** The lines of each column's and each row's label, and of each block's heading. */
  readonly columns: readonly (readonly string[])[];
  readonly rows: readonly (readonly string[])[];
  readonly blocks: readonly (readonly string[])[];
  /** Heights: of what is written above cells, and of a block with its heading. */
  readonly head: number;
  readonly block: (lines: readonly string[]) => number;
}

/** The picture; grey where all cells are. */
export function drawSheet(sheet: Sheet): Bitmap {
  const layout = layOutSheet(sheet);
  const { right, note, blocks } = layout;
  const top = MARGIN + leading(TITLE) + heightOf(note, NOTE) + 12;
  const height = blocks.reduce((sum, lines) => sum + layout.block(lines) + BLOCK, 0) - BLOCK;
  const channels = sheet.pictures.some((picture) => picture?.channels === 3) ? 3 : 1;
  const page = blank(right + MARGIN, top + height + MARGIN, channels);
  write(page, [sheet.title], [MARGIN, MARGIN], TITLE);
  write(page, note, [MARGIN, MARGIN + leading(TITLE)], NOTE);
  let y = top;
  for (const [number, lines] of blocks.entries()) {
    drawBlock(page, sheet, layout, number, y);
    y += layout.block(lines) + BLOCK;
  }
  return page;
}

function layOutSheet({ title, note, grid, pictures }: Sheet): Layout {
  const { across, down, blocks } = grid;
  const found = pictures.filter((picture) => picture !== undefined);
  const side = (edge: "width" | "height") =>
    found.length === 0 ? EDGE : Math.max(...found.map((it) => it[edge] * zoomOf(it)));
  const width = side("width");
  const columns = across.values.map((value) => wrapText(value, width, LABEL));
  const rows = down.values.map((value) => wrapText(value, ROW, LABEL));
  const labels = Math.max(
    textWidth(down.name, HEAD),
    ...rows.flat().map((line) => textWidth(line, LABEL)),
  );
  const left = MARGIN + (labels > 0 ? Math.ceil(labels) + BESIDE : 0);
  const right = Math.max(
    left + across.values.length * (width + GAP) - GAP,
    left + Math.ceil(textWidth(across.name, HEAD)),
    Math.min(NARROW, MARGIN + Math.ceil(Math.max(textWidth(title, TITLE), textWidth(note, NOTE)))),
  );
  const headings = product(blocks.map(({ values }) => values)).map((values) => {
    const text = values.map((value, i) => `${blocks[i]?.name} ${value}`).join(" · ");
    return text === "" ? [] : wrapText(text, right - MARGIN, TITLE);
  });
  const head = leading(HEAD) + Math.max(...columns.map((it) => heightOf(it, LABEL))) + BELOW;
  const cells = down.values.length * (side("height") + GAP) - GAP;
  return {
    width,
    height: side("height"),
    left,
    right,
    note: wrapText(note, right - MARGIN, NOTE),
    columns,
    rows,
    blocks: headings,
    head,
    block: (lines) => headingOf(lines) + head + cells,
  };
}

function drawBlock(
  page: Bitmap,
  { grid: { across, down }, pictures }: Sheet,
  { width, height, left, columns, rows, blocks, head }: Layout,
  number: number,
  top: number,
): void {
  const heading = blocks[number] ?? [];
  write(page, heading, [MARGIN, top], TITLE);
  const start = top + headingOf(heading);
  const cells = start + head;
  write(page, [across.name], [left, start], HEAD);
  write(page, [down.name], [left - BESIDE, cells - BELOW - leading(LABEL)], HEAD, 1);
  for (const [column, lines] of columns.entries()) {
    const middle = left + column * (width + GAP) + width / 2;
    write(page, lines, [middle, cells - BELOW - heightOf(lines, LABEL)], LABEL, 0.5);
  }
  for (const [row, lines] of rows.entries()) {
    const y = cells + row * (height + GAP);
    const middle = Math.round(y + (height - heightOf(lines, LABEL)) / 2);
    write(page, lines, [left - BESIDE, middle], LABEL, 1);
    for (const column of columns.keys()) {
      const x = left + column * (width + GAP);
      const picture = pictures[(number * rows.length + row) * columns.length + column];
      if (picture === undefined) {
        fill(page, [x, y, width, height], MISSING);
        write(page, ["–"], [x + width / 2, y + height / 2 - 8], DASH, 0.5);
      } else paste(page, picture, [x, y], zoomOf(picture));
    }
  }
}

/** The factor by which a picture is enlarged. */
function zoomOf({ width }: Bitmap): number {
  return Math.max(1, Math.round(EDGE / width));
}

/** Writes lines from a point at their top: from their left end, their middle or their right end. */
function write(
  page: Bitmap,
  lines: readonly string[],
  [x, top]: readonly [number, number],
  lettering: Lettering,
  align: 0 | 0.5 | 1 = 0,
): void {
  for (const [i, line] of lines.entries()) {
    const left = Math.round(x - align * textWidth(line, lettering));
    const baseline = top + i * leading(lettering) + Math.round(lettering.size * 1.15);
    drawText(page, line, [left, baseline], lettering);
  }
}

function blank(width: number, height: number, channels: 1 | 3): Bitmap {
  const pixels = new Uint8Array(width * height * channels).fill(PAPER);
  return { width, height, channels, pixels };
}

function fill(
  { pixels, width, channels }: Bitmap,
  [left, top, across, down]: readonly [number, number, number, number],
  byte: number,
): void {
  for (let y = top; y < top + down; y++) {
    pixels.fill(byte, (y * width + left) * channels, (y * width + left + across) * channels);
  }
}

/** Lays a picture onto a page, each of its pixels `zoom` pixels wide; grey may lie on RGB. */
function paste(
  page: Bitmap,
  { pixels, width, height, channels }: Bitmap,
  [left, top]: readonly [number, number],
  zoom: number,
): void {
  for (let y = 0; y < height * zoom; y++) {
    for (let x = 0; x < width * zoom; x++) {
      const from = (Math.floor(y / zoom) * width + Math.floor(x / zoom)) * channels;
      const to = ((top + y) * page.width + left + x) * page.channels;
      for (let channel = 0; channel < page.channels; channel++) {
        page.pixels[to + channel] = pixels[from + Math.min(channel, channels - 1)] ?? 0;
      }
    }
  }
}
