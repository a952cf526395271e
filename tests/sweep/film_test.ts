import { assertEquals } from "@std/assert";
import type { Bitmap } from "../../images/pixels.ts";
import { cutStrip, framesOf, shrink, stripOf, thin } from "../../sweep/film.ts";

Deno.test("framesOf() spreads at most twelve pictures over a run and ends with the result", () => {
  assertEquals(framesOf(1), [1]);
  assertEquals(framesOf(5), [1, 2, 3, 4, 5]);
  assertEquals(framesOf(24), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]);
  const frames = framesOf(1000);
  assertEquals([frames.length, frames[0], frames.at(-1)], [12, 83, 1000]);
});

Deno.test("shrink() takes means of squares, of each channel by itself", () => {
  const [width, height] = [600, 6]; // a factor of 3
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const x = Math.floor(at / 3) % width;
    return [x % 3 === 0 ? 90 : 0, 7, Math.floor(x / 3)][at % 3] ?? 0;
  });
  const small = shrink({ pixels, width, height, channels: 3 });
  assertEquals([small.width, small.height, small.channels], [200, 2, 3]);
  assertEquals([...small.pixels.subarray(0, 9)], [30, 7, 0, 30, 7, 1, 30, 7, 2]);
  const already: Bitmap = { pixels, width: 256, height: 1, channels: 3 };
  assertEquals(shrink(already), already);
});

Deno.test("cutStrip() gives back what stripOf() has joined, thin() some of it with its end", () => {
  const film = [1, 2, 3, 4, 5].map((shade): Bitmap => ({
    pixels: Uint8Array.from({ length: 6 }, (_, i) => 10 * shade + i),
    width: 3,
    height: 2,
    channels: 1,
  }));
  assertEquals(cutStrip(stripOf(film), 5), film);
  const shades = (most: number) =>
    thin(film, most).map(({ pixels }) => Math.floor(pixels[0]! / 10));
  assertEquals([shades(9), shades(2), shades(0)], [[1, 2, 3, 4, 5], [3, 5], [5]]);
});
