// deno-lint-ignore-file no-console -- a command-line tool
/**
 * Measures this program beside diffusers on PyTorch and onnxruntime in Python: the same weights and
 * inputs, in turns within one run. Run as `deno task bench`; see {@linkcode HELP}.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { exists } from "@std/fs";
import { fromFileUrl, join, resolve } from "@std/path";
import config from "../deno.json" with { type: "json" };
import {
  type Case,
  type Helpers,
  measure,
  printTable,
  ratiosOf,
  type Result,
  type Side,
} from "./_measure.ts";
import { type Helper, startHelper } from "./_lines.ts";

const HELP = `Measures this program beside diffusers on PyTorch and onnxruntime in Python

Usage: deno task bench --python PATH [options]

  --python PATH   a Python that has torch, diffusers, onnx, onnxruntime and Pillow
  --models DIR    where the models with random weights and their ONNX exports are kept
                  (default runs/bench; 2 GB)
  --only NAME     only the cases whose name holds NAME; repeatable
  --threads N     of each side in the cases that are no whole processes (default all cores)
  --quick         fewer rounds
  --json FILE     also write the results as JSON
  --list          print the names of the cases
  --help          print this text
`;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    python: { type: "string" },
    models: { type: "string", default: "runs/bench" },
    only: { type: "string", multiple: true, default: [] },
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const { python = "python3", threads } = values;
const models = resolve(values.models);
const root = fromFileUrl(new URL("..", import.meta.url));
const here = (file: string) => join(root, "bench", file);

/** Starts helpers when they are first needed, and keeps them. */
class Processes implements Helpers, AsyncDisposable {
  readonly #started = new Map<string, Helper>();

  #get(name: string, start: () => Helper): Helper {
    const helper = this.#started.get(name) ?? start();
    this.#started.set(name, helper);
    return helper;
  }

  #python(name: string, env: Readonly<Record<string, string>> = {}): Helper {
    const [file = name] = name.split(" ");
    return this.#get(name, () => startHelper(python, [here(`${file}.py`), threads], env));
  }

  get torch(): Helper {
    return this.#python("torch_side");
  }

  /** PyTorch with the memory settings of `deno task train`. */
  get tunedTorch(): Helper {
    return this.#python("torch_side tuned", trainingEnv());
  }

  /** PyTorch once more, for a second network at the same time. */
  get secondTorch(): Helper {
    return this.#python("torch_side second");
  }

  get ort(): Helper {
    return this.#python("ort_side");
  }

  get launcher(): Helper {
    return this.#python("launch");
  }

  get ours(): Helper {
    return this.#ours("ours", {});
  }

  /** As `deno task train` runs. */
  get training(): Helper {
    return this.#ours("training", trainingEnv());
  }

  #ours(name: string, env: Readonly<Record<string, string>>): Helper {
    const args = ["run", "--no-prompt", "--allow-all", here("ours.ts"), threads];
    return this.#get(name, () => startHelper(Deno.execPath(), args, env));
  }

  async close(...names: string[]): Promise<void> {
    for (const name of names) {
      await this.#started.get(name)?.[Symbol.asyncDispose]();
      this.#started.delete(name);
    }
  }

  async [Symbol.asyncDispose]() {
    await this.close(...this.#started.keys());
  }
}

/** The variables that the task `train` sets. */
function trainingEnv(): Record<string, string> {
  const [before = ""] = config.tasks.train.split(" deno ");
  return Object.fromEntries(before.split(" ").map((part) => part.split("=", 2)));
}

/** The folder of a model; the random ones are made where they are absent. */
async function folderOf(helpers: Helpers, model: string): Promise<string> {
  if (model === "digits") return join(root, "weights", "digits");
  const folder = join(models, model);
  await helpers.torch.ask({ op: "make", name: model, folder });
  return folder;
}

interface Timed {
  readonly seconds: number;
}

/** Times as many runs of a helper as take half a second. */
async function runner(helper: Helper, op = "run"): Promise<() => Promise<number>> {
  const { seconds } = await helper.ask<Timed>({ op, count: 1 });
  const count = Math.max(1, Math.min(50, Math.round(0.5 / seconds)));
  if (count > 1) await helper.ask<Timed>({ op, count });
  return async () => (await helper.ask<Timed>({ op, count })).seconds * 1000;
}

function forwardCase(model: string, batch: number, bars: Case["bars"] = {}): Case {
  return {
    name: `forward ${model} batch ${batch}`,
    unit: "ms",
    rounds: model === "adm" ? 3 : 5,
    bars,
    async open(helpers) {
      const folder = await folderOf(helpers, model);
      await Deno.mkdir(join(models, "onnx"), { recursive: true });
      const file = join(models, "onnx", `${model}-${batch}.onnx`);
      await helpers.torch.ask({ op: "export", model: folder, batch, file });
      const outs = [];
      const sides: Side[] = [];
      for (const name of ["ours", "torch", "ort"] as const) {
        const out = join(models, `${name}.f32`);
        const helper = helpers[name];
        const more = name === "ort" ? { file } : {};
        await helper.ask({ op: "forward", model: folder, batch, out, ...more });
        outs.push(new Float32Array((await Deno.readFile(out)).buffer));
        await Deno.remove(out);
        sides.push({ name: TITLES[name], once: await runner(helper) });
      }
      return { sides, difference: differenceOf(outs[0], outs[1]) };
    },
    async close(helpers) {
      for (const name of ["ours", "torch", "ort"] as const) {
        await helpers[name].ask({ op: "close" });
      }
    },
  };
}

/** The file of a model's scales for int8; made where it is absent. */
async function scalesOf(model: string, folder: string): Promise<string> {
  const file = join(models, `${model}-scales.json`);
  if (await exists(file)) return file;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "quantize", folder, "-n", "2", "--steps", "10", "-o", file],
    cwd: root,
    stdout: "null",
  }).output();
  if (!success) throw new Error(`Cannot quantize ${folder}`);
  return file;
}

/** A forward pass in int8 beside PyTorch's in float32 and with autocast to bfloat16. */
function int8Case(model: string, batch: number, bars: Case["bars"] = {}): Case {
  return {
    name: `int8 forward ${model} batch ${batch}`,
    unit: "ms",
    rounds: 5,
    bars,
    async open(helpers) {
      const folder = await folderOf(helpers, model);
      const scales = await scalesOf(model, folder);
      const outs = [];
      const sides: Side[] = [];
      for (
        const [name, helper, more] of [
          ["ours", helpers.ours, { scales }],
          ["diffusers", helpers.torch, {}],
          ["diffusers bf16", helpers.secondTorch, { bf16: true }],
        ] as const
      ) {
        const out = join(models, "out.f32");
        await helper.ask({ op: "forward", model: folder, batch, out, ...more });
        outs.push(new Float32Array((await Deno.readFile(out)).buffer));
        await Deno.remove(out);
        sides.push({ name, once: await runner(helper) });
      }
      return { sides, difference: differenceOf(outs[0], outs[1]) };
    },
    async close({ ours, torch, secondTorch }) {
      for (const helper of [ours, torch, secondTorch]) await helper.ask({ op: "close" });
    },
  };
}

const TITLES = { ours: "ours", torch: "diffusers", ort: "onnxruntime" } as const;

/** The largest difference as a share of the largest value. */
function differenceOf(a = new Float32Array(), b = new Float32Array()): number {
  const most = (length: number, value: (index: number) => number) => {
    let most = 0;
    for (let index = 0; index < length; index++) most = Math.max(most, Math.abs(value(index)));
    return most;
  };
  if (a.length !== b.length) throw new Error(`${a.length} numbers beside ${b.length}`);
  return most(a.length, (i) => (a[i] ?? NaN) - (b[i] ?? NaN)) / most(b.length, (i) => b[i] ?? NaN);
}

function trainingCase(batch: number, bars: Case["bars"]): Case {
  return {
    name: `training step digits batch ${batch}`,
    unit: "ms",
    rounds: 5,
    bars,
    async open(helpers) {
      const model = await folderOf(helpers, "digits");
      const sides: Side[] = [];
      const losses: number[] = [];
      for (
        const [name, helper] of [
          ["ours", helpers.training],
          ["diffusers", helpers.torch],
          ["diffusers, malloc as ours", helpers.tunedTorch],
        ] as const
      ) {
        await helper.ask({ op: "training", model, batch });
        const first = await helper.ask<{ losses: number[] }>({ op: "train", count: 3 });
        losses.push(first.losses.at(-1) ?? NaN); // after two steps of the optimizer
        sides.push({ name, once: await runner(helper, "train") });
      }
      const [ours = NaN, theirs = NaN] = losses;
      return { sides, difference: Math.abs(ours - theirs) / theirs };
    },
    close: (helpers) => helpers.close("training", "torch_side", "torch_side tuned"),
  };
}

interface Launched {
  readonly seconds: number;
  readonly bytes: number;
}

/** A whole sampling as a process: its time and its peak of memory. */
function processCase(
  model: string,
  count: number,
  steps: number,
  scale: number,
  rounds: number,
  bars: Case["bars"],
  barsOfMemory: Case["bars"] = { diffusers: 1 },
  int8 = false,
): Case {
  const guidance = scale === 0 ? "" : ` cfg ${scale}`;
  return {
    name: `${int8 ? "int8 " : ""}sample ${model} -n ${count} --steps ${steps}${guidance}`,
    unit: "s",
    rounds,
    bars,
    second: { unit: "MB peak", bars: barsOfMemory },
    async open(helpers) {
      const folder = await folderOf(helpers, model);
      const file = join(models, "image.png");
      const launch = (command: string[]) => async () => {
        const { seconds, bytes } = await helpers.launcher.ask<Launched>({
          op: "launch",
          command,
          folder: root,
        });
        return [seconds, bytes / 1e6] as const;
      };
      const ours = [
        ...[Deno.execPath(), "task", "--quiet", "sample", folder, "-n", String(count)],
        ...["--steps", String(steps), "--sampler", "ddim", "--seed", "1", "-o", file, "--quiet"],
        ...["--guidance", scale === 0 ? "none" : `cfg,scale=${scale}`],
        ...int8
          ? ["--precision", "int8", "--scales", await scalesOf(model, folder)]
          : ["--precision", "f32"],
      ];
      const theirs = [
        ...[python, here("sample.py"), folder, String(count), String(steps), String(scale), file],
      ];
      const sides = [
        { name: "ours", once: launch(ours) },
        { name: "diffusers", once: launch(theirs) },
      ];
      for (const { once } of sides) await once(); // files into memory
      return { sides };
    },
  };
}

/** The time until the help of a command, beside the imports of a Python script. */
const help: Case = {
  name: "cold start --help",
  unit: "s",
  rounds: 5,
  bars: {},
  most: 0.5,
  open(helpers) {
    const launch = (command: string[]) => async () =>
      (await helpers.launcher.ask<Launched>({ op: "launch", command, folder: root })).seconds;
    const sides = [
      { name: "ours", once: launch([Deno.execPath(), "task", "--quiet", "sample", "--help"]) },
      {
        name: "diffusers",
        once: launch([python, "-c", "import torch; from diffusers import UNet2DModel"]),
      },
    ];
    return Promise.resolve({ sides });
  },
};

const cases: readonly Case[] = [
  help,
  processCase("digits", 1, 1, 0, 5, {}),
  processCase("digits", 1, 10, 2, 5, { diffusers: 3 }),
  processCase("digits", 16, 50, 2, 3, { diffusers: 2 }),
  processCase("cifar", 1, 3, 0, 3, {}),
  processCase("cifar", 16, 3, 0, 3, {}),
  ...[1, 4, 16].map((batch) => forwardCase("digits", batch)),
  forwardCase("cifar", 1, { diffusers: 1.3, onnxruntime: 1 }),
  forwardCase("cifar", 4, { diffusers: 1.3, onnxruntime: 1 }),
  forwardCase("cifar", 16, { diffusers: 1.05, onnxruntime: 1 }),
  ...[1, 4, 16].map((batch) => forwardCase("adm", batch)),
  trainingCase(128, { diffusers: 0.8 }),
  int8Case("cifar", 1, { diffusers: 3 }),
  int8Case("cifar", 16, { diffusers: 2.5, "diffusers bf16": 1.4 }),
  int8Case("digits", 1),
  int8Case("digits", 16),
  processCase("cifar", 1, 50, 0, 3, { diffusers: 3 }, {}, true),
  processCase("cifar", 16, 10, 0, 3, { diffusers: 2.5 }, {}, true),
];

async function main(): Promise<number> {
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const chosen = cases.filter(({ name }) =>
    values.only.length === 0 || values.only.some((part) => name.includes(part))
  );
  if (values.list) {
    for (const { name } of chosen) console.log(name);
    return 0;
  }
  if (chosen.length === 0) {
    console.error(`Cannot find a case named ${values.only.join(" or ")}; --list has the names`);
    return 2;
  }
  await Deno.mkdir(models, { recursive: true });
  await using helpers = new Processes();
  const versions = {
    denoise: config.version,
    deno: Deno.version.deno,
    ...await helpers.ours.ask<Record<string, string>>({ op: "versions" }),
    ...await helpers.torch.ask<Record<string, string>>({ op: "versions" }),
    ...await helpers.ort.ask<Record<string, string>>({ op: "versions" }),
  };
  const results: Result[] = [];
  for (const { name, close, ...rest } of chosen) {
    console.error(name);
    const { sides, difference } = await rest.open(helpers);
    const rounds = values.quick ? Math.min(3, rest.rounds) : rest.rounds;
    const measured = await measure(sides, rounds);
    await close?.(helpers);
    results.push(...ratiosOf({ name, ...rest }, measured, difference));
  }
  const date = new Date().toISOString().slice(0, 10);
  console.log(`${date}, ${threads} threads\n`);
  console.log(Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "));
  console.log(`\n${printTable(results)}`);
  if (values.json !== undefined) {
    const record = { date, threads: Number(threads), versions, results };
    await Deno.writeTextFile(values.json, JSON.stringify(record, null, 2) + "\n");
  }
  return 0;
}

Deno.exitCode = await main();
