import { assert, assertEquals, assertThrows } from "@std/assert";
import { decode } from "fast-png";
import { deflateSync } from "node:zlib";
import { decodePng, encodePng, joinChunks, readChunks, readPngText } from "../../images/png.ts";

/** Noise over a slope, so that every filter is chosen somewhere. */
function picture(width: number, height: number, channels: 1 | 3) {
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const y = Math.floor(i / (width * channels));
    return y % 3 === 0 ? i * 7919 : y % 3 === 1 ? i * 3 : y * 20 + i % channels;
  });
  return { pixels, width, height, channels };
}

for (const channels of [1, 3] as const) {
  for (const [width, height] of [[1, 1], [5, 3], [32, 32], [17, 40]] as const) {
    Deno.test(`encodePng() keeps every pixel of ${width}x${height}x${channels}`, () => {
      const image = picture(width, height, channels);
      const bytes = encodePng(image.pixels, image);
      assertEquals(decodePng(bytes), { ...image, text: {} });
      const other = decode(bytes, { checkCrc: true });
      assertEquals([other.width, other.height, other.channels], [width, height, channels]);
      assertEquals([...other.data], [...image.pixels]);
    });
  }
}

Deno.test("encodePng() writes known bytes", () => {
  const bytes = encodePng(Uint8Array.of(7), { width: 1, height: 1, channels: 1 });
  assertEquals(
    bytes.subarray(0, 33).toHex(),
    [
      "89504e470d0a1a0a", // signature
      "0000000d49484452", // IHDR of 13 bytes
      "00000001000000010800000000",
      "3a7e9b55", // the checksum that every 1x1 grey PNG has
    ].join(""),
  );
  assertEquals(bytes.subarray(-12).toHex(), "0000000049454e44ae426082");
});

Deno.test("encodePng() keeps text beyond Latin-1", () => {
  const text = {
    parameters: "digit 7\nSteps: 50, Sampler: ddim",
    denoise: '{"prompt":"größe, 数字, 🎲, \\n"}',
    Comment: "é at the edge of Latin-1",
    tab: "a\tb\r\nc",
    empty: "",
  };
  const bytes = encodePng(Uint8Array.of(0), { width: 1, height: 1, channels: 1 }, text);
  assertEquals(readPngText(bytes), text);
  assertEquals(readChunks(bytes).map(({ type }) => type), [
    "IHDR",
    "tEXt",
    "iTXt",
    "tEXt",
    "iTXt",
    "tEXt",
    "IDAT",
    "IEND",
  ]);
});

Deno.test("encodePng() refuses wrong sizes, keywords and texts", () => {
  const one = { width: 1, height: 1, channels: 1 } as const;
  const byte = Uint8Array.of(0);
  assertThrows(() => encodePng(byte, { ...one, width: 2 }), RangeError, "1 bytes");
  assertThrows(() => encodePng(byte, { ...one, width: 0 }), RangeError, "0x1");
  assertThrows(() => encodePng(byte, one, { "": "x" }), RangeError, "keyword");
  assertThrows(() => encodePng(byte, one, { ["x".repeat(80)]: "x" }), RangeError, "keyword");
  assertThrows(() => encodePng(byte, one, { x: "\0" }), RangeError, "null");
});

Deno.test("readPngText() reads zTXt and compressed iTXt", () => {
  const latin = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const [head, ...rest] = readChunks(
    encodePng(Uint8Array.of(0), { width: 1, height: 1, channels: 1 }),
  );
  const long = "ü".repeat(1000);
  const bytes = joinChunks([
    head!,
    { type: "zTXt", data: Uint8Array.of(...latin("a\0\0"), ...deflateSync(latin(long))) },
    {
      type: "iTXt",
      data: Uint8Array.of(
        ...latin("b\0\x01\0de\0B\0"),
        ...deflateSync(new TextEncoder().encode("数")),
      ),
    },
    { type: "tEXt", data: latin("a\0second") },
    ...rest,
  ]);
  assertEquals(readPngText(bytes), { a: long, b: "数" });
});

Deno.test("readPngText() does not inflate a bomb", () => {
  const [head, ...rest] = readChunks(
    encodePng(Uint8Array.of(0), { width: 1, height: 1, channels: 1 }),
  );
  const bomb = deflateSync(new Uint8Array(32 * 2 ** 20));
  const data = Uint8Array.of(0x61, 0, 0, ...bomb);
  const bytes = joinChunks([head!, { type: "zTXt", data }, ...rest]);
  assertThrows(() => readPngText(bytes), SyntaxError, "cannot be inflated");
});

Deno.test("readPngText() and decodePng() refuse a file cut at any byte", () => {
  const image = picture(4, 4, 3);
  const bytes = encodePng(image.pixels, image, { a: "b", c: "数" });
  for (let end = 0; end < bytes.length; end++) {
    const cut = bytes.subarray(0, end);
    assertThrows(() => readPngText(cut, "x.png"), SyntaxError, "Cannot read x.png as PNG");
    assertThrows(() => decodePng(cut, "x.png"), SyntaxError, "Cannot read x.png as PNG");
  }
});

Deno.test("readPngText() and decodePng() notice any changed byte", () => {
  const image = picture(4, 4, 3);
  const bytes = encodePng(image.pixels, image, { a: "b", c: "数" });
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 0x10;
    assertThrows(() => readPngText(changed), SyntaxError);
    assertThrows(() => decodePng(changed), SyntaxError);
  }
});

Deno.test("readPngText() refuses text chunks without their fields", () => {
  const [head, ...rest] = readChunks(
    encodePng(Uint8Array.of(0), { width: 1, height: 1, channels: 1 }),
  );
  const full = Uint8Array.from("k\0\0\0\0\0text", (letter) => letter.charCodeAt(0));
  for (const type of ["tEXt", "zTXt", "iTXt"]) {
    for (let end = 0; end < 2; end++) {
      const bytes = joinChunks([head!, { type, data: full.subarray(0, end) }, ...rest]);
      assertThrows(() => readPngText(bytes), SyntaxError);
    }
  }
});

Deno.test("decodePng() refuses pixels that are too few, too many or absurd", () => {
  const [head, idat, end] = readChunks(
    encodePng(new Uint8Array(16), { width: 4, height: 4, channels: 1 }),
  );
  for (const length of [0, 19, 21, 10_000_000]) {
    const data = deflateSync(new Uint8Array(length));
    const bytes = joinChunks([head!, { type: "IDAT", data }, end!]);
    assertThrows(() => decodePng(bytes), SyntaxError, "Cannot read the file as PNG");
  }
  const huge = head!.data.slice();
  huge.set([0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
  const bytes = joinChunks([{ type: "IHDR", data: huge }, idat!, end!]);
  assertThrows(() => decodePng(bytes), SyntaxError, "too large");
});

Deno.test("decodePng() lays transparent pixels on white and resolves palettes", () => {
  const build = (color: number, raw: number[], ...more: { type: string; data: Uint8Array }[]) => {
    const ihdr = Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 1, 8, color, 0, 0, 0);
    return joinChunks([
      { type: "IHDR", data: ihdr },
      ...more,
      { type: "IDAT", data: deflateSync(Uint8Array.of(0, ...raw)) },
      { type: "IEND", data: new Uint8Array() },
    ]);
  };
  assertEquals([...decodePng(build(4, [10, 255, 10, 0]))!.pixels], [10, 255]);
  assertEquals([...decodePng(build(6, [1, 2, 3, 255, 0, 0, 0, 51]))!.pixels], [
    1,
    2,
    3,
    204,
    204,
    204,
  ]);
  const palette = { type: "PLTE", data: Uint8Array.of(9, 8, 7, 6, 5, 4) };
  assertEquals([...decodePng(build(3, [1, 0], palette))!.pixels], [6, 5, 4, 9, 8, 7]);
  assertThrows(() => decodePng(build(3, [1, 2], palette)), SyntaxError, "palette");
});

Deno.test("decodePng() leaves other kinds of PNG to others", () => {
  const [head, ...rest] = readChunks(
    encodePng(Uint8Array.of(0), { width: 1, height: 1, channels: 1 }),
  );
  const data = head!.data.slice();
  data[8] = 16;
  const bytes = joinChunks([{ type: "IHDR", data }, ...rest]);
  assertEquals(decodePng(bytes), undefined);
  assert(readPngText(bytes) !== undefined);
});
