import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { checkPlugin, choosePlugin, loadPlugin } from "../../plugins/load.ts";

const ddim = {
  name: "ddim",
  summary: "a sampler",
  options: { eta: { type: "number", default: 0, min: 0, max: 1, help: "noise" } },
  step: () => {},
};
const cfg = { name: "cfg", summary: "a guidance", options: {}, guide: () => {} };
const samplers = { ddim: () => Promise.resolve({ default: ddim }) };
const guidances = { cfg: () => Promise.resolve({ default: cfg }) };

/** A plugin in plain JavaScript without imports. */
const mine = `export default {
  name: "mine",
  summary: "a test",
  options: { strength: { type: "number", default: 1, help: "how much" } },
  async step({ x }) { return { x }; },
};`;

async function inFolder(files: Record<string, string>, action: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "with space " });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("choosePlugin() takes a built-in name or its alias", async () => {
  const { plugin, options, from, until } = await choosePlugin("sampler", "ddim,eta=1", samplers);
  assertEquals<unknown[]>([plugin, options, from, until], [ddim, { eta: 1 }, 0, 1]);
  const chosen = await choosePlugin("sampler", "d", samplers, { aliases: { d: "ddim" } });
  assertEquals<unknown>(chosen.plugin, ddim);
});

Deno.test("choosePlugin() takes the interval of a guidance apart", async () => {
  const { options, from, until } = await choosePlugin(
    "guidance",
    "cfg,from=0.2,until=0.8",
    guidances,
  );
  assertEquals<unknown[]>([options, from, until], [{}, 0.2, 0.8]);
  await assertRejects(
    () => choosePlugin("guidance", "cfg,from=1", guidances),
    RangeError,
    'Cannot use guidance "cfg" with from=1: from must be below until, which is 1',
  );
  await assertRejects(
    () => choosePlugin("sampler", "ddim,from=0", samplers),
    RangeError,
    "its options are eta",
  );
});

Deno.test("choosePlugin() takes a file by path and by URL", async () => {
  await inFolder({ "mine.js": mine }, async (folder) => {
    const url = toFileUrl(join(folder, "mine.js")).href;
    for (const name of ["./mine.js", "mine.js", join(folder, "mine.js"), url]) {
      const { plugin, options } = await choosePlugin("sampler", `${name},strength=2`, samplers, {
        folder,
      });
      assertEquals<unknown[]>([plugin.name, options], ["mine", { strength: 2 }]);
    }
  });
});

Deno.test("choosePlugin() takes TypeScript that imports the contract by its name", async () => {
  const text = 'import { combine } from "denoise/plugin";\n' +
    mine.replace("return { x }", "return { x: combine([1, x]) }");
  await inFolder({ "mine.ts": text }, async (folder) => {
    const { plugin } = await choosePlugin("sampler", "./mine.ts", samplers, { folder });
    assertEquals(plugin.name, "mine");
  });
});

Deno.test("loadPlugin() says what it looked for", async () => {
  const missing: Record<string, string> = {
    dmid: 'Cannot find sampler "dmid": there is no such name (built in: ddim; a file: ./dmid.ts)',
    ddm: 'Cannot find sampler "ddm": did you mean ddim? (built in: ddim; a file: ./ddm.ts)',
    constructor: 'Cannot find sampler "constructor": there is no such name',
    "./none.ts": 'Cannot find sampler "./none.ts": there is no such file',
  };
  for (const [name, message] of Object.entries(missing)) {
    await assertRejects(() => loadPlugin("sampler", name, samplers), RangeError, message);
  }
});

Deno.test("loadPlugin() reports a file that cannot be loaded in one line", async () => {
  const files = { "syntax.ts": "export default {", "throws.ts": 'throw new Error("no\\nway")' };
  await inFolder(files, async (folder) => {
    for (const name of Object.keys(files)) {
      const error = await assertRejects(
        () => loadPlugin("sampler", `./${name}`, samplers, { folder }),
        TypeError,
        `Cannot load sampler "./${name}": `,
      );
      assert(!error.message.includes("\n"), error.message);
    }
  });
});

const option = (table: unknown) => ({ ...ddim, options: { a: table } });
const bad: [string, unknown, string][] = [
  ["nothing", undefined, "has no default export that is an object"],
  ["a function", () => {}, "has no default export that is an object"],
  ["no name", { ...ddim, name: undefined }, "has no name"],
  ["no summary", { ...ddim, summary: undefined }, "has no summary"],
  ["no step", { ...ddim, step: undefined }, "has no step function"],
  ["a guidance", cfg, "has no step function"],
  ["no options", { ...ddim, options: undefined }, "has no options"],
  ["a wrong timeline", { ...ddim, timeline: [] }, "has a timeline that is not a function"],
  [
    "an option without help",
    option({ type: "flag", default: true }),
    "wrong option a: it has no help",
  ],
  [
    "an unknown type",
    option({ type: "list", help: "" }),
    "its type must be number, flag, choice or text",
  ],
  ["no default", option({ type: "number", help: "" }), "its default must be a number"],
  ["a far default", option({ type: "number", help: "", default: 2, max: 1 }), "must be at most 1"],
  ["a wrong bound", option({ type: "number", help: "", default: 2, max: "1" }), "must be numbers"],
  ["no choices", option({ type: "choice", help: "", default: "a" }), "it has no choices"],
];

for (const [what, value, reason] of bad) {
  Deno.test(`checkPlugin() refuses ${what}`, () => {
    const error = assertThrows(() => checkPlugin("sampler", "./mine.ts", value), TypeError, reason);
    assert(error.message.startsWith('Sampler "./mine.ts" has '));
  });
}

Deno.test("checkPlugin() refuses a guidance that needs what there is not or takes a host's option", () => {
  assertThrows(() => checkPlugin("guidance", "g", { ...cfg, needs: ["x"] }), TypeError, "needs");
  for (const need of ["class", "model", "loss"]) {
    const reason = `needs ${need}, so it must have an option`;
    assertThrows(() => checkPlugin("guidance", "g", { ...cfg, needs: [need] }), TypeError, reason);
  }
  const options = { from: { type: "number", default: 0, help: "" } };
  assertThrows(() => checkPlugin("guidance", "g", { ...cfg, options }), TypeError, "option from");
});
