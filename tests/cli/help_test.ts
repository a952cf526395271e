import { assert, assertEquals } from "@std/assert";
import { basename, fromFileUrl, join } from "@std/path";
import config from "../../deno.json" with { type: "json" };
import { commands } from "../../commands/_commands.ts";
import { help, wrap } from "../../commands/_help.ts";
import { overview } from "../../commands/_main.ts";
import { parse } from "../../commands/_parse.ts";

const folder = fromFileUrl(new URL("goldens", import.meta.url));

/** Compares with a kept text; `deno task goldens` keeps the new one instead. */
async function assertGolden(name: string, text: string): Promise<void> {
  const file = join(folder, `${name}.txt`);
  if (Deno.env.get("UPDATE_GOLDENS")) await Deno.writeTextFile(file, text);
  assertEquals(text, await Deno.readTextFile(file), "deno task goldens renews the texts");
}

function assertWidth(text: string): void {
  for (const line of text.split("\n")) assert(line.length <= 100, line);
}

/** An example must be one that its command takes. */
async function assertParses(typed: string): Promise<void> {
  const [name = "", ...args] = typed.split(/ [|<>]/)[0]?.split(" ") ?? [];
  const entry = commands[name];
  assert(entry, `there is no command for: ${typed}`);
  parse((await entry.load()).default, args);
}

Deno.test("the overview is the golden one", async () => {
  assertWidth(overview());
  await assertGolden("denoise", overview());
});

for (const [name, { summary, load }] of Object.entries(commands)) {
  Deno.test(`${name} --help is the golden one`, async () => {
    const { default: command } = await load();
    const text = help(command);
    assertEquals([command.name, command.summary], [name, summary]);
    assert(name in config.tasks, "deno.json has no task for it");
    for (const [typed] of command.examples) await assertParses(typed);
    const letters = Object.values(command.flags).flatMap(({ alias }) => alias ?? []);
    assertEquals(letters.length, new Set([...letters, "q", "v", "h"]).size - 3, "letters clash");
    assertWidth(text);
    await assertGolden(name, text);
  });
}

Deno.test("every file of commands/ is in the table and every golden has its command", async () => {
  const names = async (path: string, ext: string) =>
    (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name)
      .filter((name) => name.endsWith(ext) && !name.startsWith("_"))
      .map((name) => basename(name, ext).replaceAll("_", "-")).sort();
  const known = Object.keys(commands).sort();
  assertEquals(await names(join(folder, "..", "..", "..", "commands"), ".ts"), known);
  assertEquals(await names(folder, ".txt"), [...known, "denoise"].sort());
});

Deno.test("wrap() breaks between words and keeps line breaks", () => {
  assertEquals(wrap("aa bb cc\ndd", 5), ["aa bb", "cc", "dd"]);
  assertEquals(wrap("long-word-alone x", 4), ["long-word-alone", "x"]);
});
