/**
 * Text in bitmaps, drawn with a pen of our own (`_strokes.ts`): the same on every machine, also on one
 * without fonts.
 *
 * @module
 */
import { GLYPHS, UNKNOWN } from "./_strokes.ts";
import type { Bitmap } from "./pixels.ts";

/** How a text looks. */
export interface Lettering {
  /** The height of capitals in pixels. */
  readonly size: number;
  /** The byte of the ink in every channel, 0 (black) where absent. */
  readonly ink?: number | undefined;
  /** The pen's width as a share of the height, 0.11 where absent. */
  readonly weight?: number | undefined;
}

type Point = readonly [x: number, y: number];
type Segment = readonly [Point, Point];

/** Units of a glyph: the height of capitals, the space between letters, the width of a space. */
const [HEIGHT, GAP, SPACE] = [14, 4, 5] as const;

/** Straight pieces that a bend is drawn with. */
const PIECES = 6;

/** How far a text reaches below its baseline, as a share of the height of capitals. */
export const DESCENT = 5 / HEIGHT;

/** The width of a text in pixels. */
export function textWidth(text: string, { size }: Pick<Lettering, "size">): number {
  const advances = letters(text).map((letter) => widthOf(letter) + GAP);
  return Math.max(0, advances.reduce((sum, width) => sum + width, 0) - GAP) * size / HEIGHT;
}

/**
 * Draws one line of text over a bitmap.
 *
 * @param at The left end of the baseline, in pixels; what lies outside the bitmap is cut off.
 */
export function drawText(
  bitmap: Bitmap,
  text: string,
  [left, baseline]: Point,
  { size, ink = 0, weight = 0.11 }: Lettering,
): void {
  const scale = size / HEIGHT;
  let x = left;
  for (const letter of letters(text)) {
    const place = ([px, py]: Point): Point => [x + px * scale, baseline + (py - HEIGHT) * scale];
    const segments = segmentsOf(letter).map(([a, b]): Segment => [place(a), place(b)]);
    drawSegments(bitmap, segments, Math.max(1, weight * size) / 2, ink);
    x += (widthOf(letter) + GAP) * scale;
  }
}

/**
 * A text in lines of at most so many pixels: broken behind spaces and commas, not before a dot that
 * parts things, and inside a word that is too long.
 */
export function wrapText(text: string, width: number, lettering: Lettering): string[] {
  const lines: string[] = [];
  const fits = (line: string) => textWidth(line.trimEnd(), lettering) <= width;
  let line = "";
  for (const word of text.split(/(?<=[ ,])(?!·)/)) {
    if (line !== "" && !fits(line + word)) {
      lines.push(line.trimEnd());
      line = "";
    }
    for (const letter of word) {
      if (line !== "" && !fits(line + letter)) {
        lines.push(line);
        line = "";
      }
      line += letter;
    }
  }
  return [...lines, line.trimEnd()];
}

/** Letters as there are glyphs for them; accents are left out. */
function letters(text: string): string[] {
  return [...text.normalize("NFD").replace(/\p{Mark}/gu, "")];
}

function strokesOf(letter: string): string[] {
  if (letter === " ") return [];
  return (Object.hasOwn(GLYPHS, letter) ? GLYPHS[letter] ?? UNKNOWN : UNKNOWN).split(" ");
}

/** The points of a stroke, two digits of base 36 each. */
function pointsOf(stroke: string): Point[] {
  return [...stroke.matchAll(/([0-9a-z])([0-9a-z])/g)]
    .map(([, x = "", y = ""]): Point => [parseInt(x, 36), parseInt(y, 36)]);
}

function widthOf(letter: string): number {
  if (letter === " ") return SPACE;
  return Math.max(...strokesOf(letter).flatMap(pointsOf).map(([x]) => x));
}

function segmentsOf(letter: string): Segment[] {
  return strokesOf(letter).flatMap((stroke) => {
    const points = pointsOf(stroke);
    const line = stroke.startsWith("~") || stroke.startsWith("@")
      ? spline(points, stroke.startsWith("@"))
      : points;
    return line.slice(1).map((point, i): Segment => [line[i] ?? point, point]);
  });
}

/** A quadratic B-spline as a line: from middle to middle of its control points' edges. */
function spline(points: readonly Point[], closed: boolean): Point[] {
  const between = ([ax, ay]: Point, [bx, by]: Point): Point => [(ax + bx) / 2, (ay + by) / 2];
  const at = (index: number): Point => points[(index + points.length) % points.length] ?? [0, 0];
  const inner = points.map((_, i) => i).filter((i) => closed || i > 0 && i < points.length - 1);
  const line = inner.flatMap((i) => {
    const first = !closed && i === 1 ? at(0) : between(at(i - 1), at(i));
    const last = !closed && i === points.length - 2 ? at(i + 1) : between(at(i), at(i + 1));
    return Array.from({ length: PIECES + 1 }, (_, piece): Point => {
      const share = piece / PIECES;
      const [a, b, c] = [(1 - share) ** 2, 2 * share * (1 - share), share ** 2];
      const [px, py] = at(i);
      return [a * first[0] + b * px + c * last[0], a * first[1] + b * py + c * last[1]];
    });
  });
  return line;
}

/** Covers the pixels that a round pen touches, each by how much of it is covered. */
function drawSegments(
  { pixels, width, height, channels }: Bitmap,
  segments: readonly Segment[],
  radius: number,
  ink: number,
): void {
  const points = segments.flat();
  if (points.length === 0) return;
  const range = (axis: 0 | 1, end: number) => {
    const values = points.map((point) => point[axis]);
    return [
      Math.max(0, Math.floor(Math.min(...values) - radius - 1)),
      Math.min(end - 1, Math.ceil(Math.max(...values) + radius + 1)),
    ] as const;
  };
  const [left, right] = range(0, width);
  const [top, bottom] = range(1, height);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const near = Math.min(...segments.map((segment) => distance([x, y], segment)));
      const cover = Math.min(1, Math.max(0, radius + 0.5 - near));
      if (cover === 0) continue;
      for (let at = (y * width + x) * channels, end = at + channels; at < end; at++) {
        const under = pixels[at] ?? 0;
        pixels[at] = Math.round(under + (ink - under) * cover);
      }
    }
  }
}

function distance([x, y]: Point, [[ax, ay], [bx, by]]: Segment): number {
  const [dx, dy] = [bx - ax, by - ay];
  const share = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
  const near = Math.min(1, Math.max(0, share));
  return Math.hypot(x - ax - near * dx, y - ay - near * dy);
}
