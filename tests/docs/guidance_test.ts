import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import { pageWith, pictureOf, rowsOf, sectionOf } from "../../tools/guidance.ts";
import { guidances } from "../../guidance/mod.ts";
import { check, readPng, succeed } from "../commands/_main.ts";

const DOCS = new URL("../../docs/", import.meta.url);
const page = await Deno.readTextFile(new URL("guidance.md", DOCS));
const codes = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) => code);

check("the guidance and the loss of docs/guidance.md run from any folder", async (folder) => {
  const [loss = "", mine = ""] = codes;
  assert(mine.split("\n").filter((line) => line !== "").length <= 15);
  await Deno.writeTextFile(join(folder, "left.ts"), loss);
  await Deno.writeTextFile(join(folder, "mine.ts"), mine);
  const draw = async (...guidance: string[]) => {
    const image = join(folder, "out.png");
    const args = ["--class", "7", "--seed", "1", "--steps", "2", "-o", image];
    await succeed("sample", ...args, ...guidance.flatMap((text) => ["--guidance", text]));
    return (await readPng(image)).pixels;
  };
  const own = await draw(`${join(folder, "mine.ts")},scale=linear:1:4`);
  assertEquals(own, await draw("cfg,scale=linear:1:4"));
  const half = await draw("cfg", `loss,file=${join(folder, "left.ts")}`);
  assertNotEquals(half, await draw("cfg"));
});

Deno.test("docs/guidance.md has a section and a picture of what it says it has", async () => {
  for (const name of Object.keys(guidances)) {
    assert(new RegExp(`^## (.* )?${name}\\b`, "m").test(page), `${name} has no section`);
  }
  for (const [, picture] of page.matchAll(/\]\((guidance[\w/-]*\.(?:png|svg))\)/g)) {
    assert((await Deno.stat(new URL(`${picture}`, DOCS))).isFile);
  }
});

Deno.test("docs/guidance.md has the figures and the picture that deno task scales writes", async () => {
  const { rows, count } = rowsOf(page);
  assertEquals(pageWith(page, sectionOf(rows, count)), page);
  assertEquals(await Deno.readTextFile(new URL("guidance-scales.svg", DOCS)), pictureOf(rows));
  for (const name of ["classifier", "cfg"]) {
    const own = rows.filter((row) => row.name === name);
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined) throw new TypeError(`${name} has no figures`);
    assert(first.scale === 0 && first.accuracy < 0.15, `${name}: ${first.accuracy}`);
    assert(Math.max(...own.map(({ accuracy }) => accuracy)) > 0.95, name);
    assert(last.recall < first.recall, `${name}: ${last.recall}`);
  }
});
