import { assert, assertEquals } from "@std/assert";
import type { Bitmap } from "../../images/pixels.ts";
import { plainAxis } from "../../sweep/axis.ts";
import { layOut } from "../../sweep/grid.ts";
import { drawSheet } from "../../sweep/sheet.ts";

const EDGE = 128; // what cells are enlarged to

function picture(shade: number, channels: 1 | 3 = 1, edge = 64): Bitmap {
  const pixels = new Uint8Array(edge * edge * channels).fill(shade);
  return { pixels, width: edge, height: edge, channels };
}

function sheetOf(axes: Readonly<Record<string, string[]>>, pictures: (Bitmap | undefined)[]) {
  const swept = Object.entries(axes).flatMap(([name, values]) => plainAxis(name, values).axes);
  return drawSheet({ title: "digits", note: "seed 0", grid: layOut(swept), pictures });
}

/** The left upper corners of areas of one shade, in reading order. */
function corners({ pixels, width, channels }: Bitmap, shade: number): [number, number][] {
  const at = (x: number, y: number) => pixels[(y * width + x) * channels];
  const found: [number, number][] = [];
  for (let y = 1; y < pixels.length / channels / width; y++) {
    for (let x = 1; x < width; x++) {
      const inside = [[0, 0], [9, 0], [0, 9], [9, 9]].every(([dx = 0, dy = 0]) =>
        at(x + dx, y + dy) === shade
      );
      if (inside && at(x - 1, y) !== shade && at(x, y - 1) !== shade) found.push([x, y]);
    }
  }
  return found;
}

Deno.test("drawSheet() lays cells out in columns, rows and blocks", () => {
  const shades = Array.from({ length: 12 }, (_, i) => 100 + i);
  const sheet = sheetOf(
    { scale: ["1", "2", "3"], steps: ["5", "9"], sampler: ["ddim", "ddpm"] },
    shades.map((shade) => picture(shade)),
  );
  const places = shades.map((shade) => corners(sheet, shade));
  assert(places.every(({ length }) => length === 1), "each is there once");
  const [xs, ys] = [0, 1].map((axis) => places.map(([place]) => place![axis]!));
  for (const i of shades.keys()) {
    assertEquals(xs![i], xs![i % 3], "columns are aligned");
    assertEquals(ys![i], ys![i - i % 3], "rows are aligned");
  }
  assertEquals([xs![1]! - xs![0]!, ys![3]! - ys![0]!], [EDGE + 8, EDGE + 8]);
  assert(ys![6]! - ys![3]! > EDGE + 60, "a block has its own heading");
});

Deno.test("drawSheet() writes within the sheet, however long labels are", () => {
  const long = "dpmpp_2m_sde,eta=0.5,order=2,solver=midpoint";
  const sheet = sheetOf({ sampler: [long, "ddim"], steps: [`${long}${long}`, "5"] }, []);
  const { pixels, width, height } = sheet;
  const border = pixels.filter((_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return Math.min(x, y, width - 1 - x, height - 1 - y) < 20;
  });
  assert(border.every((byte) => byte === 255), "the margin is empty");
  assert(pixels.some((byte) => byte < 60), "something is written");
});

Deno.test("drawSheet() shows where a cell is missing, and grey cells among colored ones", () => {
  const sheet = sheetOf({ scale: ["1", "2", "3"] }, [picture(7, 3), picture(90), undefined]);
  assertEquals(sheet.channels, 3);
  assertEquals(corners(sheet, 90).length, 1);
  assertEquals(corners(sheet, 236).length, 1);
  assertEquals(sheetOf({ scale: ["1", "2"] }, [picture(7), picture(8)]).channels, 1);
});

Deno.test("drawSheet() enlarges small pictures by whole factors", () => {
  const sheet = sheetOf({ scale: ["1", "2"] }, [picture(7, 1, 32), picture(9, 1, 200)]);
  const row = (shade: number) => {
    const [[x = 0, y = 0] = []] = corners(sheet, shade);
    const line = sheet.pixels.subarray(y * sheet.width + x, (y + 1) * sheet.width);
    return line.findIndex((byte) => byte !== shade);
  };
  assertEquals([row(7), row(9)], [128, 200]);
});
