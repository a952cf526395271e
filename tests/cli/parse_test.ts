import { assertEquals, assertThrows } from "@std/assert";
import { command, UsageError } from "../../commands/_command.ts";
import { parse } from "../../commands/_parse.ts";

const sample = command({
  name: "sample",
  summary: "draws",
  usage: "[MODEL]",
  examples: [],
  flags: {
    count: { type: "integer", alias: "n", default: 1, min: 1, max: 100, help: "images" },
    seed: { type: "integer", help: "seed" },
    share: { type: "number", min: 0, max: 1, help: "share" },
    out: { type: "string", alias: "o", help: "file" },
    rng: { type: "string", choices: ["philox", "torch"], default: "philox", help: "generator" },
    guidance: { type: "list", alias: "g", help: "guidances" },
    json: { type: "flag", alias: "j", help: "json" },
    metadata: { type: "flag", default: true, help: "settings in the file" },
  },
  run: () => Promise.resolve(0),
});

const start = {
  count: 1,
  seed: undefined,
  share: undefined,
  out: undefined,
  rng: "philox",
  guidance: [],
  json: false,
  metadata: true,
  quiet: false,
  verbose: false,
  debug: false,
  help: false,
};

const good: [string[], Record<string, unknown>, string[]?][] = [
  [[], {}],
  [["digits"], {}, ["digits"]],
  [["-n", "4", "-o", "x.png"], { count: 4, out: "x.png" }],
  [["-n4", "-ox.png"], { count: 4, out: "x.png" }],
  [["-n=4", "--out=x=y.png"], { count: 4, out: "x=y.png" }],
  [["--count", "4", "m", "--json"], { count: 4, json: true }, ["m"]],
  [["--json", "true"], { json: true }, ["true"]],
  [["--seed", "-1"], { seed: -1 }],
  [["--seed=-1"], { seed: -1 }],
  [["--share", ".5"], { share: 0.5 }],
  [["-o", "-"], { out: "-" }],
  [["--out", "-"], { out: "-" }],
  [["-jqo", "-"], { json: true, quiet: true, out: "-" }],
  [["-g", "cfg,scale=4", "--guidance=clip"], { guidance: ["cfg,scale=4", "clip"] }],
  [["--no-metadata"], { metadata: false }],
  [["--metadata=false", "--json=true"], { metadata: false, json: true }],
  [["--json", "--no-json"], { json: false }],
  [["--rng", "torch"], { rng: "torch" }],
  [["--", "--json"], {}, ["--json"]],
  [["-"], {}, ["-"]],
  [["7"], {}, ["7"]],
];

for (const [args, values, positional = []] of good) {
  Deno.test(`parse() reads ${JSON.stringify(args)}`, () => {
    const parsed = parse(sample, args);
    assertEquals<unknown>(parsed.flags, { ...start, ...values });
    assertEquals(parsed.positional, positional);
  });
}

const bad: [string[], string][] = [
  [["--sed", "1"], "Cannot use --sed: did you mean --seed?"],
  [["--evaluate"], "Cannot use --evaluate: sample has no such flag"],
  [["--no-jsn"], "Cannot use --no-jsn: did you mean --no-json?"],
  [["--no-seed"], "Cannot use --no-seed: sample has no such flag"],
  [["-x"], "Cannot use -x: sample has no such flag"],
  [["-jx"], "Cannot use -x: sample has no such flag"],
  [["--__proto__", "1"], "Cannot use --__proto__: sample has no such flag"],
  [["--seed"], "Cannot use --seed without a value: it takes N"],
  [["--seed", "--json"], "Cannot use --seed without a value: it takes N"],
  [["-o", "-j"], "Cannot use --out without a value: it takes TEXT"],
  [["--rng"], "Cannot use --rng without a value: it takes philox|torch"],
  [["-n", "0"], "Cannot use --count=0: it must be between 1 and 100"],
  [["-n", "1.5"], "Cannot use --count=1.5: it must be a whole number"],
  [["-n", ""], "Cannot use --count=: it must be a whole number"],
  [["-n", "12abc"], "Cannot use --count=12abc: it must be a whole number"],
  [["--share", "Infinity"], "Cannot use --share=Infinity: it must be a number"],
  [["--share", "-0.1"], "Cannot use --share=-0.1: it must be between 0 and 1"],
  [["--seed", "1", "--seed=2"], 'Cannot use --seed twice: "1" and "2"'],
  [["--rng", "trch"], "Cannot use --rng=trch: it must be philox or torch; did you mean torch?"],
  [["--json=maybe"], "Cannot use --json=maybe: it is on or off, as in --no-json"],
  [["--no-json=true"], "Cannot use --no-json"],
  [["a", "b"], 'Cannot use the argument "b": sample takes [MODEL]'],
];

for (const [args, message] of bad) {
  Deno.test(`parse() refuses ${JSON.stringify(args)}`, () => {
    assertThrows(() => parse(sample, args), UsageError, message);
  });
}

Deno.test("parse() tells what was typed from what is a default", () => {
  const { given } = parse(sample, ["-n", "1", "--no-json"]);
  const names = ["count", "json", "rng", "metadata"] as const;
  assertEquals(names.map(given), [true, true, false, false]);
});

Deno.test("parse() counts arguments by the usage line", () => {
  const of = (usage: string) => (args: string[]) => parse({ ...sample, usage }, args).positional;
  assertEquals(of("FILE...")(["a", "b"]), ["a", "b"]);
  assertEquals(of("FILE [OTHER]")(["a"]), ["a"]);
  assertThrows(() => of("FILE...")([]), UsageError, "Cannot run sample without FILE");
  assertThrows(() => of("A B")(["a"]), UsageError, "Cannot run sample without B");
  assertThrows(() => of("")(["a"]), UsageError, "sample takes none");
});

Deno.test("parse() infers the types of values", () => {
  const { flags } = parse(sample, []);
  const count: number = flags.count;
  const seed: number | undefined = flags.seed;
  const rng: "philox" | "torch" = flags.rng;
  const guidance: readonly string[] = flags.guidance;
  const json: boolean = flags.json;
  assertEquals([count, seed, rng, guidance, json], [1, undefined, "philox", [], false]);
});
