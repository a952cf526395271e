const [WIDTH, HEIGHT] = [300, 170] as const;
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 24, 24] as const; // margins

/**
 * A line through points as an SVG drawing, the axes marked at their ends.
 *
 * @param title As HTML.
 * @param points At least one, in the order of x.
 */
export function plot(title: string, points: readonly (readonly [x: number, y: number])[]): string {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const right = WIDTH - RIGHT;
  const floor = HEIGHT - BOTTOM;
  const across = (x: number) => LEFT + (x - first) / (last - first || 1) * (right - LEFT);
  const up = (y: number) => floor - (y - low) / (high - low || 1) * (floor - TOP);
  const places = points.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`);
  const dots = places.map((place) => {
    const [x, y] = place.split(",");
    return `<circle cx="${x}" cy="${y}" r="2.5" fill="#27c"/>`;
  });
  const mark = (value: number) => String(Number(value.toPrecision(4)));
  return `<svg width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${title}">
<text x="${LEFT}" y="14">${title}</text>
<path d="M${LEFT} ${TOP}V${floor}H${right}" fill="none" stroke="currentColor" opacity="0.4"/>
<text x="${LEFT - 6}" y="${TOP + 4}" text-anchor="end">${mark(high)}</text>
<text x="${LEFT - 6}" y="${floor}" text-anchor="end">${mark(low)}</text>
<text x="${LEFT}" y="${HEIGHT - 6}">${first}</text>
<text x="${right}" y="${HEIGHT - 6}" text-anchor="end">step ${last}</text>
<polyline points="${places.join(" ")}" fill="none" stroke="#27c" stroke-width="1.5"/>
${dots.join("")}
</svg>`;
}
