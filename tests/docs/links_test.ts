import { assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const PAGES = ["README.md", "CONTRIBUTING.md", "weights/digits/README.md"];
for (const { name } of Deno.readDirSync(new URL("docs/", ROOT))) {
  if (name.endsWith(".md")) PAGES.push(`docs/${name}`);
}

for (const page of PAGES) {
  Deno.test(`${page} leads to files that are there`, async () => {
    const url = new URL(page, ROOT);
    const links = [...(await Deno.readTextFile(url)).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)];
    const missing: string[] = [];
    for (const [, link = ""] of links) {
      if (/^[a-z]+:/.test(link)) continue;
      await Deno.stat(new URL(link, url)).catch(() => missing.push(link));
    }
    assertEquals(missing, []);
  });
}
