import { assertEquals } from "@std/assert";
import { parseArgs, type ParseOptions } from "@std/cli/parse-args";

// Each row was run with jsr:@std/cli 1.0.32, too.
const cases: [string[], ParseOptions, Record<string, unknown>][] = [
  [["--a", "b", "-n", "4", "-x"], {}, { a: "b", n: 4, x: true, _: [] }],
  [["--a=1", "--b=x=y", "5", "z"], {}, { a: 1, b: "x=y", _: [5, "z"] }],
  [["--a=1", "5"], { string: ["a", "_"] }, { a: "1", _: ["5"] }],
  [["--on", "x"], { boolean: ["on", "off"] }, { on: true, off: false, _: ["x"] }],
  [["--on", "true", "x"], { boolean: "on" }, { on: true, _: ["x"] }],
  [["--on=false"], { boolean: "on" }, { on: false, _: [] }],
  [["--no-on"], { boolean: "on", negatable: "on" }, { on: false, _: [] }],
  [["--no-on"], {}, { "no-on": true, _: [] }],
  [["--f", "1", "--f=2"], { collect: ["f"] }, { f: [1, 2], _: [] }],
  [["--f", "1", "--f=2"], {}, { f: 2, _: [] }],
  [[], { string: ["f"], collect: ["f"] }, { f: [], _: [] }],
  [["-f", "1"], { alias: { f: "file" }, string: ["file"] }, { f: "1", file: "1", _: [] }],
  [["-abc"], {}, { a: true, b: true, c: true, _: [] }],
  [["-n4", "-o=x", "-p./q"], {}, { n: 4, o: "x", p: "./q", _: [] }],
  [["-o", "-"], { string: ["o"] }, { o: "-", _: [] }],
  [["--f"], { string: ["f"] }, { f: "", _: [] }],
  [["--f", "--g"], { string: ["f"] }, { f: "", g: true, _: [] }],
  [["a", "--", "--b", "7"], {}, { _: ["a", "--b", "7"] }],
  [["a", "--", "--b"], { "--": true }, { _: ["a"], "--": ["--b"] }],
  [["a", "--b", "c"], { stopEarly: true }, { _: ["a", "--b", "c"] }],
  [["--b"], { default: { a: 1, b: 2 } }, { a: 1, b: true, _: [] }],
  [["--x", "y"], { string: ["a"], unknown: () => false }, { _: [] }],
];

for (const [args, options, expected] of cases) {
  Deno.test(`parseArgs() reads ${JSON.stringify(args)} with ${JSON.stringify(options)}`, () => {
    assertEquals({ ...parseArgs(args, options) }, expected);
  });
}
