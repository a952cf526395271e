import { assertEquals, assertThrows } from "@std/assert";
import { fromBytes, toBitmaps } from "../../images/pixels.ts";

Deno.test("toBitmaps() undoes fromBytes() for every byte", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const [image] = toBitmaps(fromBytes(bytes), [1, 16, 16, 1]);
  assertEquals(image, { pixels: bytes, width: 16, height: 16, channels: 1 });
});

Deno.test("toBitmaps() clamps and rounds as diffusers does", () => {
  // 0 lies half-way, at 127.5, and goes to the even 128.
  const values = Float32Array.of(-1, 1, -2, 2, 0, -Infinity, Infinity, -0.9, 0.1);
  const [image] = toBitmaps(values, [1, 3, 3, 1]);
  assertEquals([...image!.pixels], [0, 255, 0, 255, 128, 0, 255, 13, 140]);
});

Deno.test("toBitmaps() splits a batch, not square", () => {
  const values = fromBytes(Uint8Array.from({ length: 2 * 2 * 3 * 3 }, (_, i) => i));
  const images = toBitmaps(values, [2, 2, 3, 3]);
  assertEquals(images.map(({ width, height }) => [width, height]), [[3, 2], [3, 2]]);
  assertEquals(images[1]!.pixels[0], 18);
});

Deno.test("toBitmaps() names the image that holds NaN", () => {
  const values = new Float32Array(5 * 4);
  values[3 * 4 + 1] = NaN;
  assertThrows(() => toBitmaps(values, [5, 2, 2, 1]), RangeError, "image 3 holds NaN");
});

Deno.test("toBitmaps() refuses shapes that do not fit", () => {
  for (const shape of [[1, 2, 2, 2], [1, 2, 2], [2, 2, 2, 1], []]) {
    assertThrows(() => toBitmaps(new Float32Array(4), shape), RangeError, "Cannot use 4 values");
  }
});
