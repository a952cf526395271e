import { assertEquals, assertThrows } from "@std/assert";
import UPNG from "upng-js";
import { encodeApng } from "../../images/apng.ts";
import type { Bitmap } from "../../images/pixels.ts";
import { decodePng, readChunks, readPngText } from "../../images/png.ts";

/** What upng-js, which has no types, makes of a file. */
interface Decoded {
  readonly tabs: { readonly acTL: unknown };
  readonly frames: readonly { readonly delay: number }[];
}

const frame = (seed: number, channels: 1 | 3): Bitmap => ({
  pixels: Uint8Array.from({ length: 5 * 3 * channels }, (_, i) => i * 37 + seed * 101),
  width: 5,
  height: 3,
  channels,
});

for (const channels of [1, 3] as const) {
  Deno.test(`encodeApng() keeps every pixel of frames with ${channels} channels`, () => {
    const frames = [0, 1, 2].map((seed) => frame(seed, channels));
    const bytes = encodeApng(frames, { delay: 50, hold: 2000, text: { a: "数" } });
    const read: Decoded = UPNG.decode(bytes.buffer);
    assertEquals(read.tabs.acTL, { num_frames: 3, num_plays: 0 });
    assertEquals(read.frames.map(({ delay }) => delay), [50, 50, 2000]);
    const pictures: ArrayBuffer[] = UPNG.toRGBA8(read);
    const colors = pictures.map((rgba) => {
      const all = [...new Uint8Array(rgba)];
      return all.filter((_, i) => channels === 3 ? i % 4 < 3 : i % 4 === 0);
    });
    assertEquals(colors, frames.map(({ pixels }) => [...pixels]));
    assertEquals(readPngText(bytes), { a: "数" });
  });
}

Deno.test("encodeApng() shows its last frame where nothing moves", () => {
  const frames = [frame(0, 1), frame(1, 1)];
  const bytes = encodeApng(frames, { delay: 50 });
  assertEquals(decodePng(bytes)?.pixels, frames[1]!.pixels);
  assertEquals(readChunks(bytes).map(({ type }) => type), [
    "IHDR",
    "acTL",
    "IDAT",
    "fcTL",
    "fdAT",
    "fcTL",
    "fdAT",
    "IEND",
  ]);
});

Deno.test("encodeApng() refuses no frames, mixtures and times out of range", () => {
  assertThrows(() => encodeApng([], { delay: 50 }), RangeError, "no frames");
  assertThrows(() => encodeApng([frame(0, 1), frame(0, 3)], { delay: 50 }), RangeError, "frame 0");
  for (const delay of [0, 1.5, 65536, NaN]) {
    assertThrows(() => encodeApng([frame(0, 1)], { delay }), RangeError, "delay");
  }
});
