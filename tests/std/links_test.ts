import { assert, assertEquals } from "@std/assert";
import { exists } from "@std/fs";
import config from "../../deno.json" with { type: "json" };
import { absoluteImports } from "../../tools/install.ts";

Deno.test("an installed command finds every import by an absolute address", async () => {
  const imports = await absoluteImports();
  for (const [name, target] of Object.entries(imports)) {
    assert(/^(npm|file):/.test(target), `${name} is ${target}`);
    if (target.startsWith("file:")) assert(await exists(new URL(target)), target);
  }
  assertEquals(Object.keys(config.imports).filter((name) => !(name in imports)), []);
});

const { links = [] }: { links?: readonly string[] } = config;

for (const link of links) {
  Deno.test(`${link} exports each of its files under the name that JSR has`, async () => {
    const folder = new URL(`../../${link}/`, import.meta.url);
    const { name, version, exports } = JSON.parse(
      await Deno.readTextFile(new URL("deno.json", folder)),
    );
    assertEquals(name, `@std/${link.split("/").at(-1)}`);
    assert(version.startsWith("1."));
    const files = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
      .filter((name) => name.endsWith(".ts") && !name.startsWith("_")).sort();
    const expected = files.map((file) => {
      const key = file === "mod.ts" ? "." : `./${file.slice(0, -3).replaceAll("_", "-")}`;
      return [key, `./${file}`];
    });
    assertEquals(exports, Object.fromEntries(expected));
  });
}
