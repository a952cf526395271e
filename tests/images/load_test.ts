import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { loadSharp } from "../../images/_sharp.ts";
import { decodeImage, loadImage } from "../../images/load.ts";
import { encodePng } from "../../images/png.ts";

const native = (await Deno.permissions.query({ name: "ffi" })).state === "granted";
const grey = { width: 2, height: 1, channels: 1 } as const;
const png = encodePng(Uint8Array.of(0, 255), grey);

Deno.test("loadImage() reads a PNG that fits, as floats", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "a.png");
  await Deno.writeFile(path, png);
  assertEquals(await loadImage(path), { ...grey, pixels: Float32Array.of(-1, 1) });
  assertEquals(
    (await loadImage(path, { channels: 3 })).pixels,
    Float32Array.of(-1, -1, -1, 1, 1, 1),
  );
  await Deno.remove(folder, { recursive: true });
  await assertRejects(() => loadImage(path), Deno.errors.NotFound, "Cannot find the image");
});

Deno.test("decodeImage() names a damaged PNG", async () => {
  const cut = png.subarray(0, 50);
  await assertRejects(() => decodeImage(cut, "a.png"), SyntaxError, "Cannot read a.png as PNG");
});

Deno.test({
  name: "decodeImage() reads other formats, crops around the center and resizes",
  ignore: !native,
  async fn() {
    const sharp = await loadSharp();
    // Red, green, blue: three squares of 8 in a row; the middle one is the central square.
    const raw = Uint8Array.from({ length: 8 * 24 * 3 }, (_, i) => {
      const part = Math.floor(i / 3 % 24 / 8);
      return i % 3 === part ? 255 : 0;
    });
    const jpeg = await sharp(raw, { raw: { width: 24, height: 8, channels: 3 } })
      .jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer();
    const image = await decodeImage(jpeg, "a.jpg", { width: 4, height: 4 });
    assertEquals([image.width, image.height, image.channels], [4, 4, 3]);
    // Resizing blurs the edges a little.
    for (let i = 0; i < 16; i++) assertAlmostEquals(image.pixels[3 * i + 1]!, 255, 20);
    const small = await decodeImage(jpeg, "a.jpg", { width: 4, height: 4, channels: 1 });
    assertEquals([small.pixels.length, small.channels], [16, 1]);
    const cut = jpeg.subarray(0, jpeg.length - 40);
    await assertRejects(() => decodeImage(cut, "a.jpg"), SyntaxError, "Cannot decode a.jpg");
    const deep = await sharp({
      create: { width: 3, height: 2, channels: 3, background: "#102030" },
    })
      .toColourspace("rgb16").png({ palette: false }).toBuffer();
    assertEquals([...(await decodeImage(deep, "a.png")).pixels.subarray(0, 3)], [16, 32, 48]);
  },
});
