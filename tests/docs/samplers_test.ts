import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { chart } from "../../tools/_chart.ts";
import { keptOf, samplersPage } from "../../tools/samplers.ts";

const DOCS = new URL("../../docs/", import.meta.url);

Deno.test("docs/samplers.md is what the samplers say of themselves: else run deno task docs", async () => {
  const page = await Deno.readTextFile(new URL("samplers.md", DOCS));
  assertEquals(page, await samplersPage(keptOf(page)));
  for (const [, picture] of page.matchAll(/\]\((samplers-\w+\.svg)\)/g)) {
    assertStringIncludes(await Deno.readTextFile(new URL(`${picture}`, DOCS)), "</svg>");
  }
});

Deno.test("chart() draws each series to scale, and names it", () => {
  const series = [
    { name: "first", points: [[1, 100], [10, 10], [100, 1]] as const },
    { name: "second", points: [[1, 1], [100, 1.2]] as const, dash: "2 3" },
  ];
  const svg = chart({ title: "t", x: "across", y: "up", series });
  const [line = ""] = svg.match(/<path d="M[^"]*" fill="none"/) ?? [];
  const points = [...line.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map((
    [, x, y],
  ) => [Number(x), Number(y)]);
  const [[x0 = 0, y0 = 0] = [], [x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []] = points;
  assert(Math.abs((x0 + x2) / 2 - x1) <= 0.1 && Math.abs((y0 + y2) / 2 - y1) <= 0.1); // logarithmic
  assert(x0 < x2 && y0 < y2); // SVG counts down
  for (const text of [">first</text>", ">second</text>", 'stroke-dasharray="2 3"', ">100</text>"]) {
    assertStringIncludes(svg, text);
  }
  const heights = [...svg.matchAll(/<text x="686" y="([\d.]+)"/g)].map(([, y]) => Number(y));
  assertEquals(heights.length, 2);
  assert(Math.abs((heights[0] ?? 0) - (heights[1] ?? 0)) >= 15, "names overlap");
});
