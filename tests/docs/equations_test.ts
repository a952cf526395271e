import { assert, assertEquals } from "@std/assert";
import { guidances } from "../../guidance/mod.ts";
import { samplers } from "../../samplers/mod.ts";

const ROOT = new URL("../../", import.meta.url);
const DOC = new URL("docs/equations.md", ROOT);
const UPDATE = "UPDATE_GOLDENS=1 deno test --allow-all tests/docs";

/** A link to a line and the code that it is said to hold. */
const LINK = /\[`([\w/]+\.ts)#L(\d+)`\]\(\.\.\/([\w/]+\.ts)#L(\d+)\): `([^`]+)`/g;

const linesOf = (file: string) =>
  Deno.readTextFileSync(new URL(file, ROOT)).split("\n").map((line) => line.trim());

if (Deno.env.get("UPDATE_GOLDENS")) {
  const renewed = Deno.readTextFileSync(DOC).replaceAll(
    LINK,
    (link, file, old, _file, _old, code) => {
      const places = linesOf(file).flatMap((line, i) => line === code ? [i + 1] : []);
      const near = places.sort((a, b) => Math.abs(a - old) - Math.abs(b - old))[0] ?? old;
      return link.replaceAll(`#L${old}`, `#L${near}`);
    },
  );
  Deno.writeTextFileSync(DOC, renewed);
}

const text = Deno.readTextFileSync(DOC);
const links = [...text.matchAll(LINK)].map(([, file = "", line, target, number, code = ""]) => ({
  file,
  line: Number(line),
  code,
  same: file === target && line === number,
}));

for (const file of new Set(links.map(({ file }) => file))) {
  Deno.test(`docs/equations.md shows lines of ${file} as they are`, () => {
    const lines = linesOf(file);
    for (const { line, code } of links.filter((link) => link.file === file)) {
      const now = lines.indexOf(code) + 1;
      const place = now === 0 ? "nowhere in it: mend the page by hand" : `line ${now}: ${UPDATE}`;
      assert(lines[line - 1] === code, `"${code}" is no longer line ${line}, but ${place}`);
    }
  });
}

Deno.test("docs/equations.md shows the code behind each of its links", () => {
  const all = text.match(/\]\(\.\.\//g)?.length ?? 0;
  assertEquals(links.length, all, "a link is not followed by a colon and its code");
  assertEquals(links.filter(({ same }) => !same), [], "text and target of a link differ");
});

Deno.test("docs/equations.md explains every sampler and guidance by its paper", async () => {
  const load = { samplers, guidances } as const;
  for (const [kind, plugins] of Object.entries(load)) {
    const folder = kind === "samplers" ? "samplers" : "guidance";
    for (const [name, plugin] of Object.entries(plugins)) {
      const file = `${folder}/${name}.ts`;
      assert(links.some((link) => link.file === file), `${file} is not on the page`);
      const { paper } = (await plugin()).default;
      assert(text.includes(paper), `${paper} is not on the page`);
    }
  }
});

Deno.test("docs/equations.md has the equations of the papers", () => {
  const equations = [
    "equation 4",
    "equations 6 and 7",
    "Algorithm 1 of DDPM",
    "L_simple: equation 14",
    "Algorithm 2 of DDPM",
    "equations 12 and 16",
    "Improved DDPM, equation 15",
    "Algorithm 1 of ADM",
    "Algorithm 2 of ADM",
    "Classifier-free guidance",
    "Min-SNR",
    "v-prediction",
    "Static and dynamic thresholding",
    "moving average",
    "AdamW",
    "Group normalization",
    "Attention",
    "embedding of timesteps",
  ];
  const headings = text.split("\n").filter((line) => line.startsWith("#")).join("\n");
  assertEquals(equations.filter((name) => !headings.includes(name)), []);
});
