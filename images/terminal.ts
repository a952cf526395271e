/**
 * Pictures in a terminal, for previews.
 *
 * @module
 */
import type { Bitmap } from "./pixels.ts";
import { encodePng } from "./png.ts";

/** How a terminal shows pictures; `blocks` are half-block letters in 24-bit color. */
export type Protocol = "kitty" | "iterm" | "blocks" | "none";

/**
 * The best protocol of a terminal by its environment variables: TERM, TERM_PROGRAM,
 * KITTY_WINDOW_ID, TMUX and NO_COLOR.
 *
 * @param env Reads a variable, as `Deno.env.get` does.
 */
export function chooseProtocol(env: (name: string) => string | undefined): Protocol {
  const term = env("TERM") ?? "";
  const program = env("TERM_PROGRAM") ?? "";
  if (term === "dumb" || env("NO_COLOR")) return "none";
  // Multiplexers inherit the variables of the terminal around them, but swallow its pictures.
  if (env("TMUX") || /^(screen|tmux)/.test(term)) return "blocks";
  if (env("KITTY_WINDOW_ID") || /kitty|ghostty/.test(term) || /ghostty/i.test(program)) {
    return "kitty";
  }
  return /^(iTerm\.app|WezTerm|vscode|mintty)$/.test(program) ? "iterm" : "blocks";
}

/**
 * A picture as text to write to a terminal, with the rows that the cursor moves down; moving it up
 * by as many draws the next picture over this one.
 *
 * @param columns The most letters it may be wide; it is never enlarged.
 */
export function drawPicture(
  image: Bitmap,
  protocol: Protocol,
  columns = 80,
): { readonly text: string; readonly rows: number } {
  if (protocol === "none") return { text: "", rows: 0 };
  const width = Math.min(image.width, columns);
  const height = Math.max(1, Math.round(image.height * width / image.width));
  const rows = Math.ceil(height / 2); // a letter is about twice as high as wide
  if (protocol === "blocks") {
    return { text: drawBlocks(shrink(image, width, height)), rows };
  }
  const data = encodePng(image.pixels, image).toBase64();
  if (protocol === "iterm") {
    const text = `\x1b]1337;File=inline=1;width=${width};height=${rows}:${data}\x07\n`;
    return { text, rows };
  }
  // Transmit and show (a=T) a PNG (f=100), in pieces of 4096, asking for no answer (q=2):
  // https://sw.kovidgoyal.net/kitty/graphics-protocol. C=1 leaves the cursor where it is.
  let text = "";
  for (let at = 0; at < data.length; at += 4096) {
    const more = at + 4096 < data.length ? 1 : 0;
    const head = at === 0 ? `a=T,f=100,q=2,C=1,c=${width},r=${rows},` : "";
    text += `\x1b_G${head}m=${more};${data.slice(at, at + 4096)}\x1b\\`;
  }
  return { text: text + "\n".repeat(rows), rows };
}

/** Two rows of pixels in a row of letters: the upper is the letter's color, the lower behind it. */
function drawBlocks({ pixels, width, height, channels }: Bitmap): string {
  const color = (x: number, y: number) => {
    const at = (y * width + x) * channels;
    return channels === 1
      ? [pixels[at], pixels[at], pixels[at]].join(";")
      : pixels.subarray(at, at + 3).join(";");
  };
  let text = "";
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x++) {
      const behind = y + 1 < height ? `\x1b[48;2;${color(x, y + 1)}m` : "";
      text += `\x1b[38;2;${color(x, y)}m${behind}▀`;
    }
    text += "\x1b[0m\n";
  }
  return text;
}

/** Averages the pixels that fall into each new one. */
function shrink(image: Bitmap, width: number, height: number): Bitmap {
  const { channels } = image;
  if (width === image.width && height === image.height) return image;
  const pixels = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const top = Math.floor(y * image.height / height);
    const bottom = Math.max(top + 1, Math.floor((y + 1) * image.height / height));
    for (let x = 0; x < width; x++) {
      const left = Math.floor(x * image.width / width);
      const right = Math.max(left + 1, Math.floor((x + 1) * image.width / width));
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let v = top; v < bottom; v++) {
          for (let u = left; u < right; u++) {
            sum += image.pixels[(v * image.width + u) * channels + c]!;
          }
        }
        pixels[(y * width + x) * channels + c] = Math.round(
          sum / ((bottom - top) * (right - left)),
        );
      }
    }
  }
  return { pixels, width, height, channels };
}
