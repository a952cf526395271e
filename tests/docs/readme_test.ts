import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { readPngText } from "../../images/png.ts";
import { check, succeed } from "../commands/_main.ts";

const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

check(
  "the plugin in the readme runs from any folder, explains itself and signs its PNG",
  async (folder) => {
    const [, code = ""] = readme.match(/```ts\n([^]*?)```/) ?? [];
    assert(code.trimEnd().split("\n").length <= 30);
    const [plugin, image] = [join(folder, "mine.ts"), join(folder, "mine.png")];
    await Deno.writeTextFile(plugin, code);
    const sampler = ["--sampler", `${plugin},strength=2`];
    await succeed("sample", "--class", "7", "--steps", "2", ...sampler, "-o", image);
    const { denoise = "" } = readPngText(await Deno.readFile(image));
    assertEquals(JSON.parse(denoise).sampler, `${plugin},strength=2`);
    const { stdout } = await succeed("sample", ...sampler, "--help");
    assertStringIncludes(new TextDecoder().decode(stdout), "strength=NUMBER");
  },
);

Deno.test("the readme names commands and tasks that there are", async () => {
  const { commands } = await import("../../commands/_commands.ts");
  const { default: config } = await import("../../deno.json", { with: { type: "json" } });
  const named = [...readme.matchAll(/deno(?:@[\d.]+)? task (-q )?([\w-]+)/g)].map((it) => it[2]);
  assert(named.length > 10);
  const known = [...Object.keys(config.tasks), ...Object.keys(commands)];
  assertEquals(named.filter((name) => name === undefined || !known.includes(name)), []);
});
