import { assertEquals, assertThrows } from "@std/assert";
import type { Options } from "../../plugin.ts";
import { edits, nearest } from "../../plugins/nearest.ts";
import { numberFault, readNumber } from "../../plugins/number.ts";
import { alternatives, checkOptions, describeOption } from "../../plugins/options.ts";

const options = {
  eta: { type: "number", default: 0, min: 0, max: 1, help: "noise" },
  scale: { type: "number", default: 3, min: 0, help: "strength" },
  order: { type: "number", default: 2, min: 1, max: 3, integer: true, help: "order" },
  fast: { type: "flag", default: true, help: "skips" },
  form: { type: "choice", choices: ["mean", "score"], default: "mean", help: "form" },
} as const satisfies Options;

const defaults = { eta: 0, scale: 3, order: 2, fast: true, form: "mean" };

const good: [Record<string, string | number | boolean>, Record<string, unknown>][] = [
  [{}, {}],
  [{ eta: "1" }, { eta: 1 }],
  [{ eta: "1e-1", scale: "10." }, { eta: 0.1, scale: 10 }],
  [{ eta: 0.5, fast: false }, { eta: 0.5, fast: false }],
  [{ "no-fast": "true" }, { fast: false }],
  [{ fast: "false" }, { fast: false }],
  [{ form: "score", order: "3" }, { form: "score", order: 3 }],
];

for (const [given, values] of good) {
  Deno.test(`checkOptions() takes ${JSON.stringify(given)}`, () => {
    assertEquals<unknown>(checkOptions("sampler", "ddim", options, given), {
      ...defaults,
      ...values,
    });
  });
}

const bad: [Record<string, string>, string][] = [
  [{ eta: "2" }, "eta=2: eta must be between 0 and 1"],
  [{ eta: "" }, "eta=: eta must be a number"],
  [{ eta: "12abc" }, "eta=12abc: eta must be a number"],
  [{ eta: "Infinity" }, "eta=Infinity: eta must be a number"],
  [{ eta: "0x1" }, "eta=0x1: eta must be a number"],
  [{ scale: "-1" }, "scale=-1: scale must be at least 0"],
  [{ order: "1.5" }, "order=1.5: order must be a whole number"],
  [{ etta: "1" }, "etta=1: did you mean eta?"],
  [{ zzzzzz: "1" }, "zzzzzz=1: its options are eta, scale, order, fast, form"],
  [{ constructor: "1" }, "constructor=1: its options are"],
  [{ fast: "maybe" }, "fast=maybe: fast must be true or false"],
  [{ fast: "true", "no-fast": "true" }, "no-fast=true: fast is given twice"],
  [{ "no-fast": "false" }, "no-fast=false: say fast=true or fast=false"],
  [{ form: "meen" }, "form=meen: form must be mean or score (did you mean mean?)"],
];

for (const [given, message] of bad) {
  Deno.test(`checkOptions() refuses ${JSON.stringify(given)}`, () => {
    assertThrows(
      () => checkOptions("sampler", "ddim", options, given),
      RangeError,
      `Cannot use sampler "ddim" with ${message}`,
    );
  });
}

Deno.test("checkOptions() says where there are no options", () => {
  assertThrows(
    () => checkOptions("guidance", "x", {}, { a: "1" }),
    RangeError,
    "it has no options",
  );
});

Deno.test("describeOption() tells range and default", () => {
  assertEquals(describeOption("eta", options.eta), {
    name: "eta=NUMBER",
    help: "noise (0 to 1; default: 0)",
  });
  assertEquals(describeOption("form", options.form).name, "form=mean|score");
  assertEquals(describeOption("fast", options.fast).help, "skips (default: true)");
});

Deno.test("readNumber() takes plain decimal numbers only", () => {
  const texts = ["1", "-1", "+.5", "1.", "1e3", "", " ", "1 ", "0x10", "1_0", "--1", "e3", "NaN"];
  assertEquals(texts.map(readNumber), [1, -1, 0.5, 1, 1000, ...Array(8).fill(NaN)]);
});

Deno.test("numberFault() names the bound that is crossed", () => {
  assertEquals(numberFault(1, { min: 1, max: 1 }), undefined);
  assertEquals(numberFault(2, { max: 1 }), "must be at most 1");
  assertEquals(numberFault(2 ** 60, { integer: true }), "must be a whole number");
  assertEquals(numberFault(1e999), "must be a number");
});

Deno.test("nearest() finds a mistyped name and nothing far away", () => {
  const names = ["sample", "train", "train-classifier", "list"];
  assertEquals(
    ["smaple", "trian", "lst", "LIST", "train_classifier"].map((it) => nearest(it, names)),
    [
      "sample",
      "train",
      "list",
      "list",
      "train-classifier",
    ],
  );
  assertEquals(["sam", "tr", "evaluate"].map((it) => nearest(it, names)), [
    "sample",
    undefined,
    undefined,
  ]);
  assertEquals([edits("", "ab"), edits("ab", "ba"), edits("kitten", "sitting")], [2, 1, 3]);
});

Deno.test("alternatives() joins words", () => {
  assertEquals([["a"], ["a", "b"], ["a", "b", "c"]].map(alternatives), [
    "a",
    "a or b",
    "a, b or c",
  ]);
});
