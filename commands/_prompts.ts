/** Texts that images are drawn by: typed, in a file, or on standard input. */
import type { Model } from "../pipeline/model.ts";
import type { Settings } from "../pipeline/settings.ts";
import { UsageError } from "./_command.ts";
import type { Io } from "./_io.ts";

/** The flags of prompts, and of what only models that read such have. */
export const promptFlags = {
  prompt: {
    type: "list",
    value: "TEXT",
    help: "what to draw; repeatable, given to the images in turn",
    group: "Prompts",
  },
  "prompt-file": {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "one prompt a line, --count images of each; - for stdin, line by line as they come",
    group: "Prompts",
  },
  negative: {
    type: "string",
    value: "TEXT",
    help: "what guidance leads away from; nothing without it",
    group: "Prompts",
  },
  "clip-skip": {
    type: "integer",
    min: 0,
    help: "layers of the text encoder that are left out at its end; none without it",
    group: "Prompts",
  },
} as const;

/** The texts of a run. */
export interface Wanted {
  /** All of them, or none where they are still to come on standard input. */
  readonly texts: readonly string[] | "stdin";
  /** Images of each text that comes on standard input. */
  readonly each: number;
  /** All images, where the texts say how many. */
  readonly count?: number | undefined;
}

/** What was typed, as far as prompts go. */
interface Typed {
  readonly prompt: readonly string[];
  readonly "prompt-file": string | undefined;
  readonly negative: string | undefined;
  readonly "clip-skip": number | undefined;
  readonly count: number | undefined;
}

/**
 * The texts that were typed, else those that are repeated; undefined where the model reads none.
 *
 * @throws {UsageError} Where a model that reads texts has none, or another one is given some.
 */
export async function promptsOf(
  { text, name }: Model,
  flags: Typed,
  repeated: Settings | undefined,
): Promise<Wanted | undefined> {
  const file = flags["prompt-file"];
  if (text === undefined) {
    const given = (["prompt-file", "negative", "clip-skip"] as const)
      .find((flag) => flags[flag] !== undefined) ??
      (flags.prompt.length > 0 ? "prompt" : undefined);
    if (given === undefined) return undefined;
    throw new UsageError(`Cannot use --${given} with ${name}: it reads no texts`);
  }
  if (flags.prompt.length > 0 && file !== undefined) {
    throw new UsageError("Cannot use --prompt together with --prompt-file: give one of them");
  }
  if (flags.prompt.length > 0) return { texts: flags.prompt, each: 1 };
  const each = flags.count ?? 1;
  if (file === "-") return { texts: "stdin", each };
  if (file !== undefined) {
    const texts = linesOf(await Deno.readTextFile(file));
    const all = texts.flatMap((text) => Array<string>(each).fill(text));
    if (texts.length > 0) return { texts: all, each, count: all.length };
    throw new UsageError(`Cannot draw the prompts of "${file}": it holds no line`);
  }
  if (repeated?.prompts !== undefined) return { texts: repeated.prompts, each: 1 };
  throw new UsageError(`Cannot draw with ${name} without a text: give one with --prompt`);
}

/** Lines that say something, without the space around them. */
function linesOf(text: string): string[] {
  return text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
}

/** The lines of standard input that say something, each as soon as it is there. */
export async function* readPrompts(): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.flatMap(linesOf);
  }
  yield* linesOf(rest);
}

/** Says what of texts is too long to be read. */
export function warnOfCuts(io: Io): (text: string, cut: string) => void {
  return (text, cut) => io.warn(`The text encoder does not read the end of "${text}": ${cut}`);
}
