import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import type { Bitmap } from "../../images/pixels.ts";
import { decodePng } from "../../images/png.ts";
import { plainAxis } from "../../sweep/axis.ts";
import { layOut, placesOf } from "../../sweep/grid.ts";
import { type SweepPage, sweepPage } from "../../sweep/page.ts";
import { chromium, type Tab, without, withPage } from "../_browser.ts";

const EDGE = 56; // shown twice as large

/** A picture of one shade, which is its frame's. */
const frame = (shade: number): Bitmap => ({
  pixels: new Uint8Array(EDGE * EDGE).fill(shade),
  width: EDGE,
  height: EDGE,
  channels: 1,
});

const swept = {
  guidance: plainAxis("cfg scale", ["1", "2", "4"]),
  sampler: plainAxis("sampler", ["ddim", "<ddpm>"]),
};
const grid = layOut(Object.values(swept).flatMap(({ axes }) => axes));

/** A film from dark to light, the end of which tells the cells apart. */
const SHADES = [20, 60, 100, 140] as const;
const last = (cell: number) => 180 + 10 * cell;
const figure = (name: string, label: string, value: number) =>
  ({ name, label, value, better: "higher", digits: 3 }) as const;

const PAGE: SweepPage = {
  title: "digits by cfg scale & sampler",
  note: "2 images a cell",
  grid,
  measured: "Of 100 images a cell",
  cells: placesOf(grid, swept).map(({ values }, cell) => ({
    values,
    about: [
      ["Time", `${cell}.25 s`],
      ["Steps", "25"],
      ...Array.from({ length: 24 }, (_, i) => [`Row ${i}`, "a value that is long"] as const),
    ],
    film: cell === 5 ? undefined : [...SHADES, last(cell)].map(frame),
    missing: cell === 5 ? "it stopped being finite" : undefined,
    figures: cell === 5 ? undefined : [
      figure("accuracy", "Class accuracy", 0.5 + cell / 10),
      figure("recall", "Recall", 0.9 - cell / 10),
    ],
  })),
};

Deno.test("a page of a sweep holds all it shows, without a script", () => {
  const html = sweepPage(PAGE);
  assert(!/(src|href)="/.test(html) && !html.includes("<script"));
  assert(!/url\((?!data:)/.test(html));
  assert(!html.includes("<ddpm>"));
  assertEquals(html.match(/tabindex="0"/g)?.length, 5);
  assertEquals(html.match(/it stopped being finite/g)?.length, 1);
});

Deno.test("a page plots its figures by an axis of numbers, wherever it is, and fidelity against diversity", () => {
  const html = sweepPage(PAGE);
  const plots = html.match(/<svg[^]*?<\/svg>/g) ?? [];
  assertEquals(plots.map((plot) => plot.match(/aria-label="(.*?)"/)?.[1]), [
    "Class accuracy by cfg scale",
    "Recall by cfg scale",
    "Class accuracy against recall",
  ]);
  const points = plots.map((plot) =>
    [...plot.matchAll(/<polyline points="(.*?)"/g)].map(([, at = ""]) => at.split(" ").length)
  );
  assertEquals(points, [[3, 2], [3, 2], [3, 2]]); // a cell is missing
  const [first = []] = [plots[0]?.match(/points="(.*?)"/)?.[1]?.split(" ") ?? []];
  assertEquals(first.map((at) => at.split(",")[0]), ["52.0", "130.7", "288.0"]); // 1, 2, 4 to scale
  assert(html.includes("sampler ddim</li>"));
  const turned = sweepPage({
    ...PAGE,
    grid: layOut([...grid.blocks, grid.down, grid.across], { across: "sampler" }),
  });
  assertEquals(turned.match(/<svg[^]*<\/ul>/)?.[0], html.match(/<svg[^]*<\/ul>/)?.[0]);
  const words = plainAxis("sampler", ["a", "b"]).axes;
  const named = { ...PAGE, grid: layOut(words), cells: PAGE.cells.slice(0, 2) };
  assert(!sweepPage(named).includes("<svg"), "samplers are no numbers");
});

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const boxOf = (tab: Tab, selector: string, index = 0) =>
  tab.evaluate<Box>(
    `document.querySelectorAll("${selector}")[${index}].getBoundingClientRect().toJSON()`,
  );

/** Waits until the condition is met, as animations run at the speed of the machine. */
async function until(met: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200 && !(await met()); i++) await new Promise((done) => setTimeout(done, 20));
}

/** The shade on the screen in the middle of a box. */
async function shadeAt(tab: Tab, { left, top, right, bottom }: Box): Promise<number> {
  const shot = decodePng(await tab.screenshot());
  assert(shot !== undefined);
  const [x, y] = [Math.round((left + right) / 2), Math.round((top + bottom) / 2)];
  return shot.pixels[(y * shot.width + x) * shot.channels] ?? NaN;
}

Deno.test({
  name: `who points at a cell sees its trajectory, settings and time${without}`,
  ignore: chromium === undefined,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "sweep" });
    try {
      const path = join(folder, "sheet.html");
      await Deno.writeTextFile(path, sweepPage({ ...PAGE, measured: undefined }));
      await withPage(folder, toFileUrl(path).href, { width: 1000, height: 900 }, async (tab) => {
        const shown = () =>
          tab.evaluate<string[]>(
            `[...document.querySelectorAll(".card")].filter((it) => it.offsetHeight > 0)
              .map((it) => it.innerText)`,
          );
        const cell = await boxOf(tab, ".cell > .film", 1);
        assertEquals([cell.right - cell.left, cell.bottom - cell.top], [112, 112]);
        assertEquals(await shown(), []);
        assertEquals(await shadeAt(tab, cell), last(1), "at rest a cell shows its result");

        await tab.moveMouse((cell.left + cell.right) / 2, (cell.top + cell.bottom) / 2);
        const seen = new Set<number>();
        await until(async () => {
          seen.add(await shadeAt(tab, cell));
          return seen.size >= 3 && seen.has(last(1));
        });
        assert(seen.size >= 3, `shades ${[...seen]}`);
        assert([...seen].every((it) => [...SHADES, last(1)].includes(it as 20)), `${[...seen]}`);
        const [text = "", ...more] = await shown();
        assertEquals(more, []);
        for (const said of ["sampler\\s+ddim", "cfg scale\\s+2", "Time\\s+1.25 s", "Steps\\s+25"]) {
          assert(new RegExp(said).test(text), `${said} in ${text}`);
        }

        const card = await boxOf(tab, ".cell .card", 1);
        assertEquals([card.left, card.bottom], [0, 900], "the card lies at the lower edge");
        const overflow = await tab.evaluate<number[]>(
          `[...document.querySelectorAll(".card"), document.documentElement]
            .map((it) => it.scrollWidth - it.clientWidth)`,
        );
        assertEquals(Math.max(...overflow), 0, "nothing is cut off");

        await tab.moveMouse(990, 5);
        assertEquals(await shown(), []);
        await until(async () => (await shadeAt(tab, cell)) === last(1));
        assertEquals(await shadeAt(tab, cell), last(1));

        const screen = { width: 1000, deviceScaleFactor: 1, mobile: false };
        await tab.send("Emulation.setDeviceMetricsOverride", { ...screen, height: 440 });
        const behind = { ...cell, top: 430, bottom: 430 };
        assert((await boxOf(tab, ".cell > .film", 4)).bottom > 430);
        assertEquals(await shadeAt(tab, behind), 255, "what lies behind the hint is not seen");
        await tab.send("Emulation.setDeviceMetricsOverride", { ...screen, height: 900 });

        await tab.press("Tab");
        assert((await shown())[0]?.includes("0.25 s"), "the first cell has the focus");
        await tab.press("Tab");
        assert((await shown())[0]?.includes("1.25 s"), "then the second one");
        const label = await tab.evaluate<string>(`document.activeElement.ariaLabel`);
        assertEquals(label, "sampler ddim, cfg scale 2");

        const bright = await shadeAt(tab, { left: 900, top: 20, right: 900, bottom: 20 });
        await tab.send("Emulation.setEmulatedMedia", {
          features: [
            { name: "prefers-color-scheme", value: "dark" },
            { name: "prefers-reduced-motion", value: "reduce" },
          ],
        });
        const dark = await shadeAt(tab, { left: 900, top: 20, right: 900, bottom: 20 });
        assert(bright > 200 && dark < 60, `${bright} ${dark}`);
        assertEquals(await shadeAt(tab, cell), last(1), "nothing moves where that is not wanted");
        assertNotEquals((await shown()).length, 0);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
