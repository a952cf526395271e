import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Bitmap } from "../../images/pixels.ts";
import { decodePng } from "../../images/png.ts";
import { chooseProtocol, drawPicture } from "../../images/terminal.ts";

const image: Bitmap = { pixels: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 2, height: 3, channels: 1 };

Deno.test("chooseProtocol() reads the environment", () => {
  const choose = (env: Record<string, string>) => chooseProtocol((name) => env[name]);
  assertEquals(choose({ TERM: "xterm-256color" }), "blocks");
  assertEquals(choose({ TERM: "xterm-kitty" }), "kitty");
  assertEquals(choose({ TERM: "xterm", KITTY_WINDOW_ID: "1" }), "kitty");
  assertEquals(choose({ TERM: "tmux-256color", KITTY_WINDOW_ID: "1" }), "blocks");
  assertEquals(choose({ TERM: "xterm-256color", TERM_PROGRAM: "iTerm.app" }), "iterm");
  assertEquals(choose({ TERM: "dumb" }), "none");
  assertEquals(choose({ TERM: "xterm", NO_COLOR: "1" }), "none");
});

Deno.test("drawPicture() puts two rows of pixels into one of letters", () => {
  const { text, rows } = drawPicture(image, "blocks");
  assertEquals(rows, 2);
  assertEquals(
    text,
    "\x1b[38;2;1;1;1m\x1b[48;2;3;3;3m▀\x1b[38;2;2;2;2m\x1b[48;2;4;4;4m▀\x1b[0m\n" +
      "\x1b[38;2;5;5;5m▀\x1b[38;2;6;6;6m▀\x1b[0m\n",
  );
});

Deno.test("drawPicture() averages what is too wide", () => {
  const wide: Bitmap = { pixels: Uint8Array.of(0, 10, 20, 40), width: 4, height: 1, channels: 1 };
  const { text } = drawPicture(wide, "blocks", 2);
  assertEquals(text, "\x1b[38;2;5;5;5m▀\x1b[38;2;30;30;30m▀\x1b[0m\n");
});

Deno.test("drawPicture() sends kitty a PNG in pieces", () => {
  const pixels = Uint8Array.from({ length: 100 * 100 * 3 }, (_, i) => Math.sin(i * i) * 1e6);
  const noise: Bitmap = { pixels, width: 100, height: 100, channels: 3 };
  const { text, rows } = drawPicture(noise, "kitty", 40);
  assertEquals(rows, 20);
  // deno-lint-ignore no-control-regex
  const pieces = [...text.matchAll(/\x1b_G([^;]*);([^\x1b]*)\x1b\\/g)];
  assertStringIncludes(pieces[0]![1]!, "a=T,f=100,q=2,C=1,c=40,r=20,m=1");
  assertEquals(pieces.at(-1)![1], "m=0");
  const png = Uint8Array.fromBase64(pieces.map((piece) => piece[2]).join(""));
  assertEquals(decodePng(png)?.pixels, pixels);
});

Deno.test("drawPicture() draws nothing on a dumb terminal", () => {
  assertEquals(drawPicture(image, "none"), { text: "", rows: 0 });
});
