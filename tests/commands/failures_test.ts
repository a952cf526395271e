/**
 * What goes wrong ends in one sentence, with the right exit status and nothing half done.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { check, denoise, filesOf, refuse } from "./_main.ts";
import { editJson, type TinyOptions, writeTiny } from "./_tiny.ts";

const FAST = ["--engine", "cpu", "--steps", "3", "--seed", "5"];

const mistakes: [string[], string][] = [
  [["--sampler", "ddin"], 'Cannot find sampler "ddin": did you mean ddim?'],
  [["--sampler", "zzz"], 'Cannot find sampler "zzz": there is no such name'],
  [["--sampler", "./none.ts"], 'Cannot find sampler "./none.ts": there is no such file'],
  [["--sampler", "ddim,eta=2"], "eta must be between 0 and 1"],
  [["--sampler", "ddim,etta=1"], "did you mean eta?"],
  [["--sampler", "ddim,eta="], "eta must be a number"],
  [["--sampler", ""], "its name is missing"],
  [["--guidance", "cgf"], "did you mean cfg?"],
  [["--guidance", "cfg,scale=-1"], "scale must be at least 0"],
  [["--guidance", "cfg,from=0.5,until=0.2"], "from must be below until"],
  [["--class", "dogg"], 'Cannot find class "dogg": did you mean dog?'],
  [["--class", "horse"], 'Cannot find class "horse": tiny has cat, dog, fish'],
  [["--class", "3"], 'Cannot find class "3"'],
  [["--class", "cat,,dog"], 'Cannot find class ""'],
  [["--steps", "0"], "--steps=0: it must be at least 1"],
  [["--steps", "2000"], "steps must be between 1 and 1000"],
  [["--steps", "1.5"], "whole number"],
  [["-n", "0"], "it must be at least 1"],
  [["--seed", "-1"], "between 0 and 2^64 - 1"],
  [["--seed", "18446744073709551616"], "between 0 and 2^64 - 1"],
  [["--rng", "torhc"], "did you mean torch?"],
  [["--engine", "onxx"], "did you mean onnx?"],
  [["--spacing", "even"], "it must be leading, linspace, trailing, karras"],
  [["--shard", "3/2", "--seed", "1"], "--shard 3/2: it must be I/N"],
  [["--shard", "0/2", "--seed", "1"], "--shard 0/2: it must be I/N"],
  [["--shard", "1/2"], "Cannot split a run without --seed"],
  [["--trajectory", "run.gif"], "--trajectory needs a name in .png"],
];

for (const [args, message] of mistakes) {
  check(`sample ${args.join(" ")} is a mistake`, async (folder) => {
    const model = join(folder, "tiny");
    await writeTiny(model);
    const output = ["-o", join(folder, "x.png")];
    await refuse(2, message, "sample", model, ...output, ...args);
    assertEquals(await filesOf(folder), ["tiny"]);
  });
}

const UNET = "unet/diffusion_pytorch_model.safetensors";

/** Changes the bytes of a model's weights. */
async function edit(model: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const path = join(model, UNET);
  await Deno.writeFile(path, change(await Deno.readFile(path)));
}

/** A model file's header with another one in its place. */
function withHeader(header: string, length = BigInt(header.length)): Uint8Array {
  const bytes = new Uint8Array(8 + header.length);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  new TextEncoder().encodeInto(header, bytes.subarray(8));
  return bytes;
}

const spoilt = (spoil: NonNullable<TinyOptions["spoil"]>) => (model: string) =>
  writeTiny(model, { spoil });
const config = (changes: Record<string, unknown>) => (model: string) =>
  editJson(join(model, "unet", "config.json"), changes);
const scheduler = (changes: Record<string, unknown>) => (model: string) =>
  editJson(join(model, "scheduler", "scheduler_config.json"), changes);
const text = (name: string, text: string) => (model: string) =>
  Deno.writeTextFile(join(model, name), text);

const damages: [string, (model: string) => Promise<void>, string][] = [
  ["no folder", (model) => Deno.remove(model, { recursive: true }), "Cannot find the model"],
  ["no unet", (model) => Deno.remove(join(model, "unet"), { recursive: true }), "neither a folder"],
  ["missing safetensors", (model) => Deno.remove(join(model, UNET)), "the folder holds no diff"],
  ["empty safetensors", (model) => edit(model, () => new Uint8Array()), "it has 0 bytes"],
  ["truncated safetensors", (model) => edit(model, (it) => it.subarray(0, -1000)), "lies outside"],
  ["truncated header", (model) => edit(model, (it) => it.subarray(0, 300)), "header claims"],
  [
    "a header of 10 GB",
    (model) => edit(model, () => withHeader("{}", 10_000_000_000n)),
    "its header claims 10000000000 bytes, the file has 2",
  ],
  ["a header of no JSON", (model) => edit(model, () => withHeader("{no")), "not JSON"],
  ["a header that is a list", (model) => edit(model, () => withHeader("[]")), "not an object"],
  [
    "a tensor of 10 GB",
    (model) =>
      edit(
        model,
        () =>
          withHeader('{"a":{"dtype":"F32","shape":[2500000000],"data_offsets":[0,10000000000]}}'),
      ),
    "lies outside the 0 bytes",
  ],
  ["a missing tensor", spoilt((it) => it.delete("conv_in.bias")), '"conv_in.bias": it is missing'],
  ["NaN weights", spoilt((it) => it.get("conv_in.bias")?.values.fill(NaN)), "finite at step 1"],
  ["a config of other widths", config({ block_out_channels: [8, 16] }), "config.json makes its"],
  ["a config of no list", config({ block_out_channels: "8" }), "block_out_channels is"],
  ["a config with 3 levels", config({ block_out_channels: [8, 8, 8] }), "must be equal"],
  ["a config of odd groups", config({ norm_num_groups: 3 }), "norm_num_groups (3) does not divide"],
  ["a config of another class", config({ _class_name: "UNet3D" }), "UNet3D is not known here"],
  ["a config with text for a number", config({ layers_per_block: "1" }), "layers_per_block is"],
  ["a config of no JSON", text("unet/config.json", "{"), 'config.json": it is not JSON'],
  ["an unknown prediction", scheduler({ prediction_type: "flow" }), "prediction_type=flow"],
  ["an unknown schedule", scheduler({ beta_schedule: "zigzag" }), "beta_schedule="],
  ["timesteps of text", scheduler({ num_train_timesteps: "9" }), "num_train_timesteps="],
  ["labels of no JSON", text("labels.json", "[1,"), "labels.json"],
  ["labels of numbers", text("labels.json", "[1]"), "must be a list of class names"],
  ["more labels than classes", text("labels.json", '["a","b","c","d","e"]'), "labels.json"],
  ["fewer labels than classes", text("labels.json", '["a","b"]'), "labels.json"],
  [
    "channels that are no colors",
    (model) => writeTiny(model, { config: { in_channels: 4, out_channels: 4 } }),
    "channels",
  ],
  ["recommended steps of text", text("sampling.json", '{"steps":"many"}'), "sampling.json"],
  ["recommended guidance of text", text("sampling.json", '{"guidance":"cfg"}'), "sampling.json"],
  ["an unknown recommended sampler", text("sampling.json", '{"sampler":"x"}'), '"x"'],
];

for (const [name, damage, message] of damages) {
  check(`sample refuses a model with ${name}`, async (folder) => {
    const model = join(folder, "tiny");
    await writeTiny(model);
    await damage(model);
    const output = join(folder, "x.png");
    const steps = message.includes("sampling.json") ? FAST.slice(0, 2) : FAST;
    await refuse(1, message, "sample", model, ...steps, "-n", "1", "-o", output);
    assertEquals((await filesOf(folder)).filter((file) => file !== "tiny"), []);
  });
}

check("sample refuses guidance that the model has nothing for", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const args = ["sample", model, ...FAST, "-o", join(folder, "x.png"), "--guidance"];
  await refuse(1, "the model has no classifier/ folder", ...args, "classifier");
  await Deno.writeTextFile(join(model, "labels.json"), '["a","b","c","d"]');
  await refuse(1, "the model has no null class", ...args, "cfg");
  assertEquals(await filesOf(folder), ["tiny"]);
});

check("sample refuses an output before it draws", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const file = join(folder, "file");
  await Deno.writeTextFile(file, "kept");
  await Deno.mkdir(join(folder, "x.png"));
  const sample = ["sample", model, ...FAST, "-o"];
  const outputs: [string, 1 | 2, string][] = [
    [join(file, "x.png"), 1, "Cannot write"],
    [join(file, "out/"), 1, "Cannot write"],
    [join(folder, "x.jpg"), 2, "give a name that ends in .png"],
    [file, 2, "give a name that ends in .png"],
    ["", 1, "Cannot write to an empty name"],
  ];
  for (const [to, code, message] of outputs) await refuse(code, message, ...sample, to);
  if (Deno.build.os === "linux") await refuse(1, "the disk is full", ...sample, "/dev/full");
  assertEquals(await Deno.readTextFile(file), "kept");
  assertEquals(await filesOf(folder), ["file", "tiny", "x.png"]);
});

check("sample refuses a trajectory before it draws", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const file = join(folder, "file");
  await Deno.writeTextFile(file, "kept");
  const [path, run] = [join(folder, "x.png"), join(file, "run.png")];
  await refuse(1, "Cannot write", "sample", model, ...FAST, "-o", path, "--trajectory", run);
  assertEquals(await filesOf(folder), ["file", "tiny"]);
});

check("a failure shows its stack with --debug alone", async (folder) => {
  const { code, stderr } = await denoise("sample", join(folder, "none"), "--debug");
  assertEquals(code, 1);
  assert(/\n +at /.test(stderr), stderr);
});

check("a sampler that breaks its contract is named with its step", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const plugins: [string, string][] = [
    ["step: () => Promise.resolve({})", 'Sampler "bad" returned no tensor x at step 1'],
    ["step: () => Promise.resolve(undefined)", 'Sampler "bad" returned no tensor x at step 1'],
    ["step: ({ x }) => ({ x: x.reshape([-1]) })", "turned images of shape"],
    ["step: ({ x }) => ({ x: x.mul(NaN) })", "finite at step 1"],
    ["step: () => { throw new Error('Cannot go on') }", "Cannot go on"],
    ["steps: 1", "has no step function"],
    ["step: 1", "has no step function"],
    ["step() {}, timeline: () => []", "timeline of fewer than two levels"],
    ["step() {}, options: { a: { type: 'text' } }", "has a wrong option a"],
  ];
  for (const [index, [body, message]] of plugins.entries()) {
    const path = join(folder, `bad${index}.js`); // modules are cached by their path
    const head = "name: 'bad', summary: 's', paper: 'https://x.org', options: {}";
    await Deno.writeTextFile(path, `export default { ${head}, ${body} };`);
    await refuse(1, message, "sample", model, ...FAST, "-n", "1", "--sampler", path);
  }
  const path = join(folder, "syntax.ts");
  await Deno.writeTextFile(path, "export default {");
  await refuse(1, "Cannot load sampler", "sample", model, ...FAST, "--sampler", path);
});
