/**
 * Pages that hold all they show: no script, nothing from elsewhere.
 *
 * @module
 */
import type { Bitmap } from "../images/pixels.ts";
import { encodePng } from "../images/png.ts";

/** What the pages have in common; colors follow the reader's light or dark mode. */
const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
pre { font: 13px/1.5 ui-monospace, monospace; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 1rem 0.25rem 0; text-align: left; border-bottom: 1px solid #8884; }
td.value { font-variant-numeric: tabular-nums; }
img { image-rendering: pixelated; max-width: 100%; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { font-size: 0.85rem; }
.warning { border-left: 4px solid #d90; padding-left: 0.75rem; }
svg { margin: 0 1rem 1rem 0; } svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
.plots { display: flex; flex-wrap: wrap; }
`;

/**
 * A page's file.
 *
 * @param title As text; also its heading.
 * @param body As HTML.
 * @param style Rules beside those that all pages have.
 */
export function pageFile(title: string, body: string, style = ""): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}${style}</style>
</head>
<body>
<h1>${escape(title)}</h1>
${body}
</body>
</html>
`;
}

/** A text as HTML, also inside an attribute. */
export function escape(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** A picture as an address that holds it. */
export function pictureUri(bitmap: Bitmap): string {
  const bytes = encodePng(bitmap.pixels, bitmap);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return `data:image/png;base64,${btoa(text)}`;
}
