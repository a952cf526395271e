import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { openTokenizer } from "../../models/clip_tokenizer.ts";
import { folderOf } from "../_parity.ts";
import tokens from "../fixtures/clip-tokenizer/tokens.json" with { type: "json" };

const FOLDER = folderOf("clip-tokenizer");

/** A copy of the folder without some of its files. */
async function without(names: readonly string[], use: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(FOLDER)) {
      if (!names.includes(name)) await Deno.copyFile(join(FOLDER, name), join(folder, name));
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function assertTokens(folder: string): void {
  const { encode, length } = openTokenizer(folder);
  assertEquals(length, tokens.model_max_length);
  for (const { text, ids, padded } of tokens.prompts) {
    const found = encode(text);
    assertEquals([...found.ids], padded, text);
    assertEquals(found.used, Math.min(ids.length, length), text);
    assertEquals(found.cut !== "", ids.length > length, text);
  }
}

Deno.test("openTokenizer() gives the ids of transformers", () => assertTokens(FOLDER));

Deno.test("openTokenizer() reads vocab.json and merges.txt alone", () =>
  without(["tokenizer.json"], (folder) => Promise.resolve(assertTokens(folder))));

Deno.test("openTokenizer() says what was cut off", () => {
  const { encode } = openTokenizer(FOLDER);
  const { cut } = encode("a ".repeat(75) + "small red cat");
  assert(cut.trim().endsWith("small red cat") && !cut.includes("a small"), cut);
});

Deno.test("openTokenizer() pads with the token that the files name", () =>
  without(["tokenizer.json"], async (folder) => {
    const path = join(folder, "tokenizer_config.json");
    const settings = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...settings, pad_token: { content: "!" } }));
    assertEquals(openTokenizer(folder).encode("").ids.at(-1), 0);
    await Deno.writeTextFile(path, JSON.stringify({ ...settings, pad_token: "<none>" }));
    assertThrows(() => openTokenizer(folder), Error, "its vocabulary has no <none>");
  }));
