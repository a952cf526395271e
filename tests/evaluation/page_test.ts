import { assert, assertEquals } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { type Page, pageHtml } from "../../evaluation/page.ts";
import type { Bitmap } from "../../images/pixels.ts";
import { chromium, flagsIn, without } from "../_browser.ts";

const bitmap = (shade: number): Bitmap => ({
  pixels: new Uint8Array(64).fill(shade),
  width: 8,
  height: 8,
  channels: 1,
});

const PAGE: Page = {
  report: {
    samples: { name: "<b>tiny</b>", count: 1200, size: "8x8 grey" },
    reference: { name: "photos & more", count: 60000, size: "8x8 grey" },
    features: "pixels",
    dims: 64,
    figures: [
      { name: "fid", label: "FID", value: 1.5, interval: [1.2, 1.8], better: "lower", digits: 3 },
      { name: "kid", label: "KID ×1000", value: 0.2, error: 0.1, better: "lower", digits: 3 },
    ],
    skipped: [{ metric: "accuracy", reason: "the samples have no classes" }],
    warnings: ["FID of 1,200 images is too high"],
  },
  samples: Array.from({ length: 12 }, (_, i) => bitmap(20 * i)),
  likenesses: [{ sample: bitmap(9), nearest: [{ image: bitmap(8), distance: 0.25 }] }],
  history: [1, 2, 3].map((i) => ({ step: 100 * i, figures: { fid: 9 / i, kid: 1 / i } })),
};

/** Tells in the title what a browser has made of the page. */
const PROBE = `<script>
addEventListener("load", () => {
  const images = [...document.images];
  const inside = (it) => it.getBoundingClientRect().right <= innerWidth && it.getBoundingClientRect().width > 0;
  document.title = JSON.stringify({
    heading: document.querySelector("h1").textContent,
    shown: images.filter((it) => it.complete && it.naturalWidth > 0 && inside(it)).length,
    images: images.length,
    rows: document.querySelector("table").rows.length,
    points: [...document.querySelectorAll("polyline")].map((it) => it.points.length),
    plots: [...document.querySelectorAll("svg")].filter(inside).length,
    outside: performance.getEntriesByType("resource").filter((it) => !it.name.startsWith("data:")).length,
  });
});
</script>`;

Deno.test({
  name: `the page opens in headless Chromium${without}`,
  ignore: chromium === undefined,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "page" });
    try {
      const path = join(folder, "page.html");
      await Deno.writeTextFile(path, pageHtml(PAGE) + PROBE);
      const { stdout } = await new Deno.Command(chromium ?? "", {
        args: [
          ...flagsIn(folder),
          "--window-size=1000,1200",
          "--dump-dom",
          toFileUrl(path).href,
        ],
        stderr: "null",
      }).output();
      const [, title = "{}"] = new TextDecoder().decode(stdout).match(/<title>(.*)<\/title>/) ?? [];
      assertEquals(
        JSON.parse(title.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")),
        {
          heading: "<b>tiny</b> against photos & more",
          shown: 3,
          images: 3,
          rows: 3,
          points: [3, 3],
          plots: 2,
          outside: 0,
        },
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("a page holds all it shows, and says of how many images", () => {
  const html = pageHtml(PAGE);
  assert(!/(src|href)="(?!data:)/.test(html) && !html.includes("<script"));
  assertEquals(html.match(/1,200 images<\/td>/g)?.length, 2);
  assert(html.includes("1.500 [1.200, 1.800]") && html.includes("0.200 ± 0.100"));
  assert(html.includes("not measured: the samples have no classes"));
  assert(!pageHtml({ ...PAGE, history: [], likenesses: [] }).includes("<svg"));
});
