import { assertEquals, assertThrows } from "@std/assert";
import { formatSpec, parseSpec } from "../../plugins/spec.ts";

const cases: Record<string, [string, Record<string, string>]> = {
  "ddim": ["ddim", {}],
  "ddim,eta=0.5": ["ddim", { eta: "0.5" }],
  " cfg , scale = 4 , from=0.2": ["cfg", { scale: "4", from: "0.2" }],
  "ddim,fast,no-clip": ["ddim", { fast: "true", "no-clip": "true" }],
  "./mine.ts,strength=2": ["./mine.ts", { strength: "2" }],
  "./a,b/mine.ts,x=1": ["./a,b/mine.ts", { x: "1" }],
  "C:\\x\\y.ts,x=-1e-3": ["C:\\x\\y.ts", { x: "-1e-3" }],
  "https://host/x.ts?v=1,x=a=b": ["https://host/x.ts?v=1", { x: "a=b" }],
  "https://host/a,b.ts": ["https://host/a,b.ts", {}],
  "cfg,scale=": ["cfg", { scale: "" }],
};

for (const [text, [name, options]] of Object.entries(cases)) {
  Deno.test(`parseSpec() reads ${text}`, () => assertEquals(parseSpec(text), { name, options }));
}

const bad: Record<string, string> = {
  "": "its name is missing",
  ",eta=1": "its name is missing",
  "eta=1": "its name comes first",
  "ddim,": "an option is missing after a comma",
  "ddim,,eta=1": "an option is missing after a comma",
  "ddim,eta=1,eta=2": "eta is given twice",
};

for (const [text, reason] of Object.entries(bad)) {
  Deno.test(`parseSpec() refuses "${text}"`, () => {
    assertThrows(() => parseSpec(text), SyntaxError, `Cannot read plugin "${text}": ${reason}`);
  });
}

Deno.test("formatSpec() is read back", () => {
  const text = formatSpec("cfg", { scale: 4, fast: true, form: "mean" });
  assertEquals(text, "cfg,scale=4,fast=true,form=mean");
  assertEquals(parseSpec(text).options, { scale: "4", fast: "true", form: "mean" });
});
