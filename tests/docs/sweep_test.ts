import { assert, assertEquals } from "@std/assert";
import { check, succeed } from "../commands/_main.ts";

const DOCS = new URL("../../docs/", import.meta.url);
const page = await Deno.readTextFile(new URL("sweep.md", DOCS));

check("the commands of docs/sweep.md are ones that there are", async () => {
  const blocks = [...page.matchAll(/```sh\n([^]*?)```/g)].map(([, code = ""]) => code);
  const typed = blocks.map((code) => code.replaceAll("\\\n", " ").trim().split(/\s+/).slice(2));
  assertEquals(typed.map(([name]) => name), ["sweep", "sweep"]);
  const cells = [];
  for (const args of typed) {
    const { stdout } = await succeed(...args, "--dry-run", "--json");
    cells.push(JSON.parse(new TextDecoder().decode(stdout)).length);
  }
  assertEquals(cells, [30, 10]);
});

Deno.test("docs/sweep.md has the pictures that it shows", async () => {
  const pictures = [...page.matchAll(/\]\((sweep\/\w+\.png)\)/g)].map(([, path]) => `${path}`);
  assertEquals(pictures.length, 2);
  for (const path of pictures) assert((await Deno.stat(new URL(path, DOCS))).isFile);
});
