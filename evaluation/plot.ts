const [WIDTH, HEIGHT] = [300, 170] as const;
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 24, 24] as const; // margins

/** Colors of lines, which color-blind people tell apart; readable on light and on dark. */
const COLORS = ["#27c", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"] as const;

/** What a plot shows. */
export interface Plot {
  /** As HTML. */
  readonly title: string;
  /** What x is, as HTML. */
  readonly x: string;
  readonly lines: readonly {
    /** At least one, in the order in which they are joined. */
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

/** The color of the i-th line of every plot. */
export function colorOf(index: number): string {
  return COLORS[index % COLORS.length] ?? COLORS[0];
}

/** Lines through points as an SVG drawing, the axes marked at their ends. */
export function plot({ title, x: name, lines }: Plot): string {
  const all = lines.flatMap(({ points }) => points);
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)];
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const right = WIDTH - RIGHT;
  const floor = HEIGHT - BOTTOM;
  const across = (x: number) => LEFT + (x - first) / (last - first || 1) * (right - LEFT);
  const up = (y: number) => floor - (y - low) / (high - low || 1) * (floor - TOP);
  const drawn = lines.map(({ points }, index) => {
    const color = colorOf(index);
    const places = points.map(([x, y]) => [across(x).toFixed(1), up(y).toFixed(1)]);
    const dots = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="2.5" fill="${color}"/>`);
    const path = places.map((place) => place.join(",")).join(" ");
    return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>
${dots.join("")}`;
  });
  const mark = (value: number) =>
    Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return `<svg width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${title}">
<text x="${LEFT}" y="14">${title}</text>
<path d="M${LEFT} ${TOP}V${floor}H${right}" fill="none" stroke="currentColor" opacity="0.4"/>
<text x="${LEFT - 6}" y="${TOP + 4}" text-anchor="end">${mark(high)}</text>
<text x="${LEFT - 6}" y="${floor}" text-anchor="end">${mark(low)}</text>
<text x="${LEFT}" y="${HEIGHT - 6}">${mark(first)}</text>
<text x="${right}" y="${HEIGHT - 6}" text-anchor="end">${name} ${mark(last)}</text>
${drawn.join("\n")}
</svg>`;
}
