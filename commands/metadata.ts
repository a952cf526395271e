import { command, UsageError } from "./_command.ts";
import { printable } from "./_errors.ts";

/** `denoise metadata`: the text chunks of a PNG. */
export default command({
  name: "metadata",
  summary: "prints the settings that a PNG was made with",
  usage: "[FILE]",
  description:
    "Prints the text in a PNG: the settings that sample keeps there, as parameters and " +
    "as JSON. `sample --from FILE` repeats them.",
  examples: [
    ["metadata digits.png", "one setting a line"],
    ["metadata --json digits.png | jq .denoise.seed", "for programs"],
    ["metadata - < digits.png", "from stdin"],
  ],
  flags: {
    json: { type: "flag", help: "print a JSON object; chunks that hold JSON become part of it" },
  },
  async run({ flags, positional: [file = "-"], io }) {
    if (file === "-" && Deno.stdin.isTerminal()) {
      throw new UsageError("Cannot run metadata without FILE: name a PNG, or pipe one into it");
    }
    const { readPngText } = await import("../images/png.ts");
    const bytes = file === "-"
      ? new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer())
      : await Deno.readFile(file);
    const chunks = Object.entries(readPngText(bytes, file === "-" ? "stdin" : file));
    if (flags.json) {
      const parsed = chunks.map(([key, text]) => [key, readJson(text) ?? text]);
      await io.write(JSON.stringify(Object.fromEntries(parsed), null, 2));
      return 0;
    }
    if (chunks.length === 0) {
      io.log(`${file === "-" ? "stdin" : file} holds no text`);
      return 1;
    }
    const { bold } = io.outStyle;
    for (
      const [key, text] of chunks.map(([key, text]) => [printable(key), printable(text)] as const)
    ) {
      const lines = text.split("\n");
      await io.write(
        lines.length === 1
          ? `${bold(`${key}:`)} ${text}`
          : [`${bold(`${key}:`)}`, ...lines].join("\n  "),
      );
    }
    return 0;
  },
});

/** The object or list in a text, undefined where it is none. */
function readJson(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
