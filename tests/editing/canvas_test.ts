import { assertEquals, assertRejects } from "@std/assert";
import { keepPixels, layOut, openAt } from "../../editing/canvas.ts";
import { encodePng } from "../../images/png.ts";

const SIZE = { width: 4, height: 3, channels: 1 } as const;
const png = (pixels: readonly number[], width: number, height: number, name = "x.png") => ({
  name,
  bytes: encodePng(Uint8Array.from(pixels), { width, height, channels: 1 }),
});
const counting = Array.from({ length: 12 }, (_, i) => i + 1);
const init = png(counting, 4, 3);

Deno.test("layOut() takes white of the mask as open, and keepPixels() keeps the rest", async () => {
  const mask = png([255, 0, 200, 127, ...Array(8).fill(0)], 4, 3);
  const canvas = await layOut({ init, mask }, SIZE);
  assertEquals([...canvas.open ?? []], [1, 0, 1, 0, ...Array(8).fill(0)]);
  const drawn = { ...SIZE, pixels: new Uint8Array(12).fill(99) };
  assertEquals([...keepPixels(drawn, canvas).pixels], [99, 2, 99, 4, ...counting.slice(4)]);
  assertEquals(keepPixels(drawn, { ...canvas, open: undefined }), drawn);
});

Deno.test("layOut() places an image and opens what it does not reach", async () => {
  const { image, open, bare } = await layOut({ init, place: [1, -1] }, SIZE);
  assertEquals([...image.pixels], [0, 5, 6, 7, 0, 9, 10, 11, 0, 0, 0, 0]);
  assertEquals([...open ?? []], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
  assertEquals(bare, true);
  const mask = png([0, 255, ...Array(10).fill(0)], 4, 3);
  const both = await layOut({ init, mask, place: [1, -1] }, SIZE);
  assertEquals([...both.open ?? []], [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
});

Deno.test("layOut() scales an image that has another size, says so, and its mask with it", async () => {
  const said: string[] = [];
  const large = png(Array(48).fill(7), 8, 6, "large.png");
  const mask = png(Array.from({ length: 48 }, (_, i) => i % 8 < 4 ? 255 : 0), 8, 6);
  const { image, open } = await layOut({ init: large, mask }, SIZE, (text) => said.push(text));
  assertEquals([image.width, image.height, said], [4, 3, ["Scaled large.png from 8x6 to 4x3"]]);
  assertEquals([...open ?? []], Array.from({ length: 12 }, (_, i) => i % 4 < 2 ? 1 : 0));
});

Deno.test("layOut() refuses in one sentence what does not fit", async () => {
  const cases: readonly [Parameters<typeof layOut>[0], string][] = [
    [{ init, mask: png(Array(12).fill(0), 4, 3) }, "nothing is left to draw"],
    [{ init, mask: png(Array(12).fill(255), 4, 3) }, "nothing is kept"],
    [{ init, mask: png([0, 255], 2, 1) }, "it has 2x1 pixels, it must have 4x3"],
    [{ init, place: [4, 0] }, "lie outside the 4x3"],
    [{ init, place: [0, -3] }, "lie outside the 4x3"],
    [{ init, place: [0, 0] }, "nothing is left to draw"],
  ];
  for (const [pictures, message] of cases) {
    await assertRejects(() => layOut(pictures, SIZE), RangeError, message);
  }
  const text = { name: "notes.txt", bytes: new TextEncoder().encode("no image") };
  await assertRejects(() => layOut({ init: text }, SIZE), SyntaxError, "Cannot decode notes.txt");
});

Deno.test("openAt() opens what stands for any open pixel", () => {
  const image = { pixels: new Uint8Array(6 * 4), width: 6, height: 4, channels: 1 } as const;
  const open = Uint8Array.from({ length: 24 }, (_, i) => i === 7 || i === 22 ? 1 : 0);
  const canvas = { image, open, bare: false };
  assertEquals(openAt(canvas, [1, 2, 3, 4]), Uint8Array.of(1, 0, 0, 0, 0, 1));
  assertEquals(openAt(canvas, [1, 4, 6, 1]), open); // x are the pixels
  assertEquals(openAt({ image, bare: false }, [1, 2, 3, 4]), undefined);
});
