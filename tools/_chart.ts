/** A line of a chart; both coordinates are above 0 where its axes are logarithmic. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Dashes of its line, as in SVG; whole where absent. */
  readonly dash?: string;
  /** Texts at its points. */
  readonly marks?: readonly string[];
}

/** What a chart shows. */
export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** True for axes that count evenly from 0 to 1; logarithmic ones, as long as lines are, without. */
  readonly shares?: boolean;
}

const [WIDTH, HEIGHT] = [860, 520];
const [LEFT, TOP, RIGHT, BOTTOM] = [70, 40, 200, 50];
/** Okabe and Ito's colors, which color-blind people tell apart. */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/** A chart as SVG, its lines named beside their ends. */
export function chart({ title, x, y, series, shares = false }: Chart): string {
  const all = series.flatMap(({ points }) => points);
  const axis = (values: readonly number[], ends: readonly [number, number]) =>
    shares ? fromZeroToOne(ends) : logarithmic(values, ends);
  const across = axis(all.map(([at]) => at), [LEFT, WIDTH - RIGHT]);
  const up = axis(all.map(([, at]) => at), [HEIGHT - BOTTOM, TOP]);
  const lines = series.map(({ name, points, dash }, i) => {
    const color = COLORS[i % COLORS.length];
    const path = points.map(([px, py], k) => `${k === 0 ? "M" : "L"}${across.at(px)} ${up.at(py)}`);
    const dashes = dash === undefined ? "" : ` stroke-dasharray="${dash}"`;
    return `<path d="${path.join("")}" fill="none" stroke="${color}" stroke-width="1.8"${dashes}>` +
      `<title>${name}</title></path>`;
  });
  const marks = series.flatMap(({ points, marks = [] }, i) =>
    marks.map((mark, k) => {
      const [px = NaN, py = NaN] = points[k] ?? [];
      const [at, color] = [`${across.at(px)} ${up.at(py)}`, COLORS[i % COLORS.length]];
      return `<path d="M${at}h0" stroke="${color}" stroke-width="6" stroke-linecap="round"/>` +
        `<text x="${across.at(px) + 6}" y="${up.at(py) - 6}" fill="${color}">${mark}</text>`;
    })
  );
  const ends = series.map(({ points }) => Number(up.at(points.at(-1)?.[1] ?? 1)));
  const labels = spread(ends).map((at, i) => {
    const [end, color] = [series[i]?.points.at(-1), COLORS[i % COLORS.length]];
    const from = `${across.at(end?.[0] ?? 1)} ${round(ends[i] ?? 0)}`;
    return `<path d="M${from}L${WIDTH - RIGHT + 22} ${at}" stroke="${color}" stroke-width="0.6"/>` +
      `<text x="${WIDTH - RIGHT + 26}" y="${at}" dy="0.32em" fill="${color}">${
        series[i]?.name
      }</text>`;
  });
  const grid = [
    ...across.ticks.map((tick) => {
      const at = across.at(tick);
      return `<path d="M${at} ${TOP}V${HEIGHT - BOTTOM}" stroke="#ddd"/>` +
        `<text x="${at}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${tick}</text>`;
    }),
    ...up.ticks.map((tick) => {
      const at = up.at(tick);
      return `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#ddd"/>` +
        `<text x="${LEFT - 6}" y="${at}" dy="0.32em" text-anchor="end">${tick}</text>`;
    }),
  ];
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="15">${title}</text>`,
    `<text x="${middle}" y="${HEIGHT - 12}" text-anchor="middle">${x}</text>`,
    `<text transform="translate(18 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${y}</text>`,
    ...grid,
    ...lines,
    ...marks,
    ...labels,
    "</svg>",
    "",
  ].join("\n");
}

/** An axis between two pixels. */
interface Axis {
  at(value: number): number;
  readonly ticks: readonly number[];
}

function fromZeroToOne([start, end]: readonly [number, number]): Axis {
  return {
    at: (value) => round(start + (end - start) * value),
    ticks: [0, 0.2, 0.4, 0.6, 0.8, 1],
  };
}

/** A logarithmic axis, with a tick at 1, 2 and 5 of each power of ten, or at 1. */
function logarithmic(values: readonly number[], [start, end]: readonly [number, number]): Axis {
  const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
  const at = (value: number) =>
    round(start + (end - start) * (Math.log10(value) - low) / (high - low));
  const steps = high - low > 2.5 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => i);
  const ticks = powers.flatMap((i) =>
    steps.map((step) => Number(`${step}e${Math.floor(low) + i}`))
  );
  return {
    at,
    ticks: ticks.filter((tick) =>
      Math.log10(tick) >= low - 1e-9 && Math.log10(tick) <= high + 1e-9
    ),
  };
}

/** Moves heights apart so that texts at them do not overlap, keeping their order. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0));
  const gap = Math.min(15, (HEIGHT - TOP - 10) / heights.length);
  const moved = new Array<number>(heights.length);
  let least = TOP;
  for (const [rank, i] of order.entries()) {
    const most = HEIGHT - 10 - gap * (order.length - 1 - rank);
    moved[i] = round(Math.min(most, Math.max(least, heights[i] ?? 0)));
    least = (moved[i] ?? 0) + gap;
  }
  return moved;
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
