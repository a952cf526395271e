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

const [TITLE, HEAD, LABEL] = [
  { size: 15, weight: 0.15, ink: 20 },
  { size: 12, weight: 0.15, ink: 20 },
  { size: 12, weight: 0.11, ink: 40 },
] as const satisfies Lettering[];
const NOTE: Lettering = { size: 11, ink: 90 };
const [PAPER, MISSING, QUIET] = [255, 236, 150] as const; // bytes of grey

/** Pixels: around the sheet, between cells, between blocks, of a cell at least, of a row's label. */
const [MARGIN, GAP, BLOCK, EDGE, ROW] = [24, 8, 28, 128, 200] as const;

/** The height of a line of text. */
const leading = ({ size }: Lettering) => Math.round(size * (1 + DESCENT) * 1.3);

/** The picture; grey where all cells are. */
export function drawSheet({ title, note, grid, pictures }: Sheet): Bitmap {
  const found = pictures.filter((picture) => picture !== undefined);
  const zooms = new Map(found.map((it) => [it, Math.max(1, Math.round(EDGE / it.width))]));
  const side = (edge: "width" | "height") =>
    Math.max(...found.map((it) => it[edge] * (zooms.get(it) ?? 1)), found.length > 0 ? 0 : EDGE);
  const [width, height] = [side("width"), side("height")];
  const { across, down, blocks } = grid;

  const heads = across.values.map((value) => wrapText(value, width, LABEL));
  const rows = down.values.map((value) => wrapText(value, ROW, LABEL));
  const texts = [...rows.flat().map((line) => [line, LABEL] as const), [down.name, HEAD] as const];
  const labels = Math.max(...texts.map(([text, lettering]) => textWidth(text, lettering)));
  const left = MARGIN + (labels > 0 ? Math.ceil(labels) + 14 : 0);
  const inner = across.values.length * (width + GAP) - GAP;
  // One column may be narrower than what is written above it.
  const right = Math.max(left + inner, left + Math.ceil(textWidth(across.name, HEAD)), 400);
  const notes = wrapText(note, right - MARGIN, NOTE);
  const headHeight = leading(HEAD) + Math.max(...heads.map(({ length }) => length)) *
      leading(LABEL) +
    4;
  const blockTitles = product(blocks.map(({ values }) => values)).map((values) =>
    wrapText(
      values.map((value, i) => `${blocks[i]?.name} ${value}`).join(" · "),
      right - MARGIN,
      TITLE,
    )
  );
  const blockHeight = (lines: readonly string[]) =>
    (blocks.length > 0 ? lines.length * leading(TITLE) + 6 : 0) + headHeight +
    down.values.length * (height + GAP) - GAP + BLOCK;
  const top = MARGIN + leading(TITLE) + notes.length * leading(NOTE) + 12;
  const total = blockTitles.reduce((sum, lines) => sum + blockHeight(lines), 0) - BLOCK;
  const channels = found.some((picture) => picture.channels === 3) ? 3 : 1;
  const sheet: Bitmap = { ...blank(right + MARGIN, top + total + MARGIN, channels) };

  const write = (text: string, x: number, lineTop: number, lettering: Lettering, align = 0) =>
    drawText(sheet, text, [
      Math.round(x - align * textWidth(text, lettering)),
      lineTop + Math.round(lettering.size * 1.15),
    ], lettering);
  write(title, MARGIN, MARGIN, TITLE);
  notes.forEach((line, i) =>
    write(line, MARGIN, MARGIN + leading(TITLE) + i * leading(NOTE), NOTE)
  );

  let y = top;
  for (const [block, lines] of blockTitles.entries()) {
    const start = y;
    if (blocks.length > 0) {
      lines.forEach((line, i) => write(line, MARGIN, y + i * leading(TITLE), TITLE));
      y += lines.length * leading(TITLE) + 6;
    }
    write(across.name, left, y, HEAD);
    write(down.name, left - 14, y + headHeight - 4 - leading(LABEL), HEAD, 1);
    heads.forEach((head, column) =>
      head.forEach((line, i) =>
        write(
          line,
          left + column * (width + GAP) + width / 2,
          y + headHeight - 4 - (head.length - i) * leading(LABEL),
          LABEL,
          0.5,
        )
      )
    );
    y += headHeight;
    for (const [row, label] of rows.entries()) {
      const at = y + row * (height + GAP);
      const middle = at + (height - label.length * leading(LABEL)) / 2;
      label.forEach((line, i) =>
        write(line, left - 14, Math.round(middle) + i * leading(LABEL), LABEL, 1)
      );
      for (const column of across.values.keys()) {
        const x = left + column * (width + GAP);
        const number = (block * rows.length + row) * across.values.length + column;
        const picture = pictures[number];
        if (picture === undefined) {
          fill(sheet, [x, at, width, height], MISSING);
          write("–", x + width / 2, at + height / 2 - 8, { size: 12, ink: QUIET }, 0.5);
        } else paste(sheet, picture, [x, at], zooms.get(picture) ?? 1);
      }
    }
    y = start + blockHeight(lines);
  }
  return sheet;
}

function blank(width: number, height: number, channels: 1 | 3): Bitmap {
  return {
    width,
    height,
    channels,
    pixels: new Uint8Array(width * height * channels).fill(PAPER),
  };
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

/** Lays a picture onto a sheet, each of its pixels `zoom` pixels wide; grey may lie on RGB. */
function paste(
  sheet: Bitmap,
  { pixels, width, height, channels }: Bitmap,
  [left, top]: readonly [number, number],
  zoom: number,
): void {
  for (let y = 0; y < height * zoom; y++) {
    for (let x = 0; x < width * zoom; x++) {
      const from = (Math.floor(y / zoom) * width + Math.floor(x / zoom)) * channels;
      const to = ((top + y) * sheet.width + left + x) * sheet.channels;
      for (let channel = 0; channel < sheet.channels; channel++) {
        sheet.pixels[to + channel] = pixels[from + Math.min(channel, channels - 1)] ?? 0;
      }
    }
  }
}
