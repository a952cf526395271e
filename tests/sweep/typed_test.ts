import { assertEquals, assertRejects } from "@std/assert";
import type { Axis } from "../../sweep/axis.ts";
import { placesOf } from "../../sweep/grid.ts";
import { readTyped, type Typed, type Variable, VARIABLES } from "../../sweep/typed.ts";

/** What the flags of a sweep are read as. */
async function read(typed: Partial<Typed>) {
  const all = Object.fromEntries(VARIABLES.map((name) => [name, typed[name] ?? []]));
  return await readTyped(all as Typed); // every variable has its texts
}

/** Axes of one flag as `name: values`, and what each of its cells is typed as. */
async function axes(variable: Variable, ...texts: string[]) {
  const swept = await read({ [variable]: texts });
  const { axes = [] } = swept[variable] ?? {};
  const alone: Axis = { name: "", values: [""] };
  const grid = { across: alone, down: alone, blocks: axes };
  const cells = placesOf(grid, swept).map(({ texts }) => texts[variable]);
  return { axes: axes.map(({ name, values }) => `${name}: ${values.join(" ")}`), cells };
}

const values = async (variable: Variable, ...texts: string[]) =>
  (await axes(variable, ...texts)).cells;

Deno.test("plugins are listed by commas, by repetition, or both", async () => {
  assertEquals(await values("sampler", "ddim,ddpm"), ["ddim", "ddpm"]);
  assertEquals(await values("sampler", "ddim", "ddpm,variance=small"), [
    "ddim",
    "ddpm,variance=small",
  ]);
  assertEquals(await values("sampler", "ddim,eta=0.5,ddpm,heun"), ["ddim,eta=0.5", "ddpm", "heun"]);
  assertEquals(await values("sampler", "DPM++ 2M,Euler a"), ["DPM++ 2M", "Euler a"]);
  assertEquals((await axes("sampler", "ddim,ddpm")).axes, ["sampler: ddim ddpm"]);
});

Deno.test("an option takes ranges and further values, and is an axis of its own", async () => {
  assertEquals(await axes("guidance", "cfg,scale=1..3"), {
    axes: ["cfg scale: 1 2 3"],
    cells: ["cfg,scale=1", "cfg,scale=2", "cfg,scale=3"],
  });
  assertEquals(await values("guidance", "cfg,scale=1,2..8/3"), [
    "cfg,scale=1",
    "cfg,scale=2",
    "cfg,scale=5",
    "cfg,scale=8",
  ]);
  assertEquals(await values("sampler", "ddpm,variance=small,large"), [
    "ddpm,variance=small",
    "ddpm,variance=large",
  ]);
  assertEquals(await axes("guidance", "cfg,scale=1,7x5+1x15,from=0,0.5"), {
    axes: ["cfg scale: 1 7x5+1x15", "cfg from: 0 0.5"],
    cells: [
      "cfg,scale=1,from=0",
      "cfg,scale=1,from=0.5",
      "cfg,scale=7x5+1x15,from=0",
      "cfg,scale=7x5+1x15,from=0.5",
    ],
  });
});

Deno.test("a list of several plugins is one axis, whatever their options", async () => {
  assertEquals(await axes("guidance", "none,cfg,scale=2..3,apg"), {
    axes: ["guidance: none cfg,scale=2 cfg,scale=3 apg"],
    cells: ["none", "cfg,scale=2", "cfg,scale=3", "apg"],
  });
  const cells = await values("guidance", "cfg,scale=1..3,8,from=0,0.5,apg");
  assertEquals([cells.length, cells[7], cells[8]], [9, "cfg,scale=8,from=0.5", "apg"]);
});

Deno.test("a word that is an option switches it on and is no value", async () => {
  assertEquals(await values("guidance", "classifier,scale=1,2,normalize"), [
    "classifier,scale=1,normalize=true",
    "classifier,scale=2,normalize=true",
  ]);
});

Deno.test("guidances in sequence have the axes of all of them", async () => {
  assertEquals(await axes("guidance", "cfg,scale=2,4 + rescale,phi=0,1"), {
    axes: ["cfg scale: 2 4", "rescale phi: 0 1"],
    cells: [
      "cfg,scale=2 + rescale,phi=0",
      "cfg,scale=2 + rescale,phi=1",
      "cfg,scale=4 + rescale,phi=0",
      "cfg,scale=4 + rescale,phi=1",
    ],
  });
  assertEquals((await axes("guidance", "cfg,scale=1,2 + cfg,scale=3,4")).axes, [
    "cfg scale: 1 2",
    "cfg scale (2): 3 4",
  ]);
  assertEquals(await values("guidance", "cfg,apg + clip", "none"), [
    "cfg + clip",
    "apg + clip",
    "none",
  ]);
});

Deno.test("paths, steps, seeds, classes and models are axes", async () => {
  assertEquals(await axes("spacing", "karras,rho=5,7"), {
    axes: ["karras rho: 5 7"],
    cells: ["karras,rho=5", "karras,rho=7"],
  });
  assertEquals(await values("spacing", "trailing,ddim25,karras"), ["trailing", "ddim25", "karras"]);
  assertEquals(await values("spacing", "10,10,5"), ["10,10,5"]);
  assertEquals(await values("steps", "10,25", "50"), ["10", "25", "50"]);
  assertEquals(await values("seed", "3..5"), ["3", "4", "5"]);
  assertEquals(await values("class", "0..2,7 + 8"), ["0", "1", "2", "7 + 8"]);
  assertEquals(await values("class", "3:0.7,8:0.3"), ["3:0.7+8:0.3"]); // one mixture, as for sample
  assertEquals(await values("model", "a", "b/c"), ["a", "b/c"]);
});

Deno.test("what cannot be read is refused with its name", async () => {
  const refused = (variable: Variable, text: string, message: string, kind = RangeError) =>
    assertRejects(() => read({ [variable]: [text] }), kind as typeof Error, message);
  await refused("sampler", "ddim,ddmp", 'Cannot find sampler "ddmp": did you mean ddpm?');
  await refused("guidance", "cgf,scale=1..3", 'Cannot find guidance "cgf": did you mean cfg?');
  await refused("steps", "10,10", "Cannot sweep steps: 10 is listed twice");
  await refused("steps", "10,x", "Cannot use --steps x: it must be a whole number");
  await refused("steps", "0..2", "Cannot use --steps 0: it must be at least 1");
  await refused("sampler", "ddim,", "something is missing beside a comma", SyntaxError);
  await refused("guidance", "cfg,scale=1,scale=2", "scale is given twice", SyntaxError);
  await refused("sampler", "eta=1", "a name comes first", SyntaxError);
  await refused(
    "guidance",
    "none,cfg,scale=1..300,from=0..0.9/0.1",
    "Cannot sweep over 3000 values of cfg: at most 400 are laid out",
  );
});
