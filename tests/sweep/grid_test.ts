import { assertEquals, assertThrows } from "@std/assert";
import { plainAxis } from "../../sweep/axis.ts";
import { layOut, placesOf } from "../../sweep/grid.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));
const swept = {
  guidance: plainAxis("cfg scale", numbers(4)),
  sampler: plainAxis("sampler", ["ddim", "ddpm"]),
  steps: plainAxis("steps", ["10", "25", "50"]),
  seed: plainAxis("seed", ["0"]),
};
const axes = Object.values(swept).flatMap(({ axes }) => axes);

Deno.test("layOut() puts the longest axis across, the next one down, and makes blocks of the rest", () => {
  const { across, down, blocks } = layOut(axes);
  assertEquals([across.name, down.name, blocks.map(({ name }) => name)], [
    "cfg scale",
    "steps",
    ["sampler"],
  ]);
});

Deno.test("layOut() follows what is named, an option also by itself", () => {
  const { across, down, blocks } = layOut(axes, { across: "sampler", down: "scale" });
  assertEquals([across.name, down.name, blocks.map(({ name }) => name)], [
    "sampler",
    "cfg scale",
    ["steps"],
  ]);
});

Deno.test("layOut() refuses no axis, absurd products and axes that there are not", () => {
  assertThrows(
    () => layOut([swept.seed.axes[0]!]),
    RangeError,
    "Cannot sweep over one cell: give something several values",
  );
  const large = ["a", "b", "c"].map((name) => ({ name, values: numbers(30) }));
  assertThrows(
    () => layOut(large),
    RangeError,
    "Cannot sweep over 30 (a) × 30 (b) × 30 (c) = 27,000 cells: at most 400 are laid out",
  );
  assertThrows(
    () => layOut(axes, { across: "stpes" }),
    RangeError,
    'Cannot lay "stpes" out --across: did you mean steps?',
  );
  assertThrows(
    () => layOut(axes, { down: "seed" }), // it has one value
    RangeError,
    "what varies is cfg scale, sampler or steps",
  );
  assertThrows(
    () => layOut(axes, { across: "steps", down: "steps" }),
    RangeError,
    "both across and down",
  );
});

Deno.test("placesOf() reads as a page does: blocks, rows, columns", () => {
  const places = placesOf(layOut(axes), swept);
  assertEquals(places.length, 24);
  assertEquals(places[0], {
    values: { sampler: "ddim", steps: "10", "cfg scale": "0" },
    texts: { guidance: "0", sampler: "ddim", steps: "10", seed: "0" },
  });
  const orders = places.map(({ values }) => Object.values(values).join());
  assertEquals([orders[1], orders[4], orders[12]], ["ddim,10,1", "ddim,25,0", "ddpm,10,0"]);
  assertEquals(new Set(orders).size, 24);
});
