import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { DESCENT, drawText, textWidth, wrapText } from "../../images/lettering.ts";
import type { Bitmap } from "../../images/pixels.ts";

const SIZE = 14;

/** White, with a text on it whose baseline is at y = 40. */
function written(text: string, channels: 1 | 3 = 1, at: [number, number] = [20, 40]): Bitmap {
  const bitmap = {
    width: 300,
    height: 60,
    channels,
    pixels: new Uint8Array(300 * 60 * channels).fill(255),
  };
  drawText(bitmap, text, at, { size: SIZE });
  return bitmap;
}

/** The box of all that is no longer white. */
function inked({ pixels, width, height, channels }: Bitmap) {
  const [xs, ys]: [number[], number[]] = [[], []];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[(y * width + x) * channels]! < 255) {
        xs.push(x);
        ys.push(y);
      }
    }
  }
  return {
    left: Math.min(...xs),
    right: Math.max(...xs),
    top: Math.min(...ys),
    bottom: Math.max(...ys),
  };
}

Deno.test("drawText() stands on its baseline, is as high as it says and as wide as textWidth()", () => {
  const { left, right, top, bottom } = inked(written("HELLO"));
  const pen = 0.11 * SIZE / 2 + 0.5;
  assertAlmostEquals(left, 20, pen);
  assertAlmostEquals(right, 20 + textWidth("HELLO", { size: SIZE }), pen);
  assertAlmostEquals(top, 40 - SIZE, pen);
  assertAlmostEquals(bottom, 40, pen);
  assert(inked(written("pqgy")).bottom <= 40 + DESCENT * SIZE);
  assert(inked(written("pqgy")).bottom > 42, "they descend");
});

Deno.test("every printable letter of ASCII has a glyph of its own", () => {
  const letters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const shapes = letters.map((letter) => written(letter).pixels.join());
  assertEquals(new Set(shapes).size, 95);
  const unknown = written("猫").pixels.join(); // a box
  assert(!shapes.includes(unknown));
  assertEquals(written("é").pixels, written("e").pixels);
});

Deno.test("drawText() inks all channels alike and is cut off at the edges", () => {
  const [grey, colored] = [written("ab"), written("ab", 3)];
  assertEquals(colored.pixels.filter((_, i) => i % 3 === 1), grey.pixels);
  for (const at of [[-10, 5], [295, 40], [20, 62]] as const) written("abc", 1, [...at]);
});

Deno.test("wrapText() breaks behind commas and spaces, and inside words that are too long", () => {
  const lettering = { size: SIZE };
  const width = textWidth("dpmpp_2m_sde,", lettering);
  assertEquals(wrapText("dpmpp_2m_sde,eta=0.5", width, lettering), ["dpmpp_2m_sde,", "eta=0.5"]);
  assertEquals(wrapText("one two", textWidth("two", lettering), lettering), ["one", "two"]);
  assertEquals(wrapText("10", width, lettering), ["10"]);
  const dotted = wrapText("ab one · two", textWidth("ab one", lettering), lettering);
  assertEquals(dotted, ["ab", "one ·", "two"]);
  const lines = wrapText("incomprehensibilities", 50, lettering);
  assertEquals(lines.join(""), "incomprehensibilities");
  assert(lines.length > 2 && lines.every((line) => textWidth(line, lettering) <= 50));
});
