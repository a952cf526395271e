import { assert, assertEquals, assertRejects } from "@std/assert";
import { ensureDir } from "@std/fs";
import { join } from "@std/path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Reader } from "protobufjs/minimal.js";
import { UsageError } from "../../commands/_command.ts";
import { type Io, processIo } from "../../commands/_io.ts";
import { parse } from "../../commands/_parse.ts";
import trace from "../../commands/trace.ts";
import { run } from "../cli/_run.ts";
import { folderOf } from "../_parity.ts";
import { type FixtureTensor, readFixture } from "../_safetensors.ts";
import { check, filesOf, refuse, succeed } from "./_main.ts";
import { LABELS, writeTiny } from "./_tiny.ts";

/** The fields of a protobuf message that hold bytes, by number. */
function fieldsOf(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const fields = new Map<number, Uint8Array[]>();
  const reader = Reader.create(bytes);
  while (reader.pos < reader.len) {
    const key = reader.uint32();
    if ((key & 7) !== 2) reader.skipType(key & 7);
    else fields.set(key >>> 3, [...fields.get(key >>> 3) ?? [], reader.bytes()]);
  }
  return fields;
}

const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** The keys and values of ModelProto.metadata_props. */
function metadataOf(model: Uint8Array): Record<string, string> {
  const entries = (fieldsOf(model).get(14) ?? []).map((entry) => {
    const fields = fieldsOf(entry);
    return [textOf(fields.get(1)?.[0]), textOf(fields.get(2)?.[0])];
  });
  return Object.fromEntries(entries);
}

/** Runs an ONNX file, or its bytes, on a fixture's own tensors, channels first as they are. */
async function runOn(
  model: Uint8Array | string,
  fixture: (name: string) => FixtureTensor,
  output: string,
) {
  const options = { intraOpNumThreads: 1 };
  const session = typeof model === "string"
    ? await InferenceSession.create(model, options)
    : await InferenceSession.create(model, options);
  const feeds: Record<string, Tensor> = {};
  for (const name of session.inputNames) {
    const key = { sample: "x", timestep: "t", class_labels: "class_labels" }[name] ?? name;
    const { data, shape } = fixture(key);
    feeds[name] = key === "class_labels"
      ? new Tensor("int32", Int32Array.from(data), shape)
      : new Tensor("float32", Float32Array.from(data), shape);
  }
  const results = await session.run(feeds);
  await session.release();
  assertEquals(Object.keys(results), [output]);
  const { dims = [], data = [] } = results[output] ?? {};
  return { names: session.inputNames, dims, values: Array.from(data, Number) };
}

const CLASSIFIER = "openai-classifier-attention";

const PARTS = [
  ["unet", "unet2d-classcond", "y", "out_sample", ["sample", "timestep", "class_labels"], 1e-5],
  ["classifier", CLASSIFIER, "logits", "logits", ["sample", "timestep"], 1e-5],
  [
    "classifier-gradient",
    CLASSIFIER,
    "grad_x",
    "gradient",
    ["sample", "timestep", "class_labels"],
    1e-4,
  ],
] as const;

for (const [part, name, key, output, inputs, tolerance] of PARTS) {
  check(`trace --part ${part} writes what other programs compute alike`, async (folder) => {
    const model = join(folder, "model");
    for (const [to, from] of [["unet", "unet2d-classcond"], ["classifier", CLASSIFIER]] as const) {
      await ensureDir(join(model, to));
      for (const file of await filesOf(folderOf(from))) {
        await Deno.copyFile(join(folderOf(from), file), join(model, to, file));
      }
    }
    const fixture = readFixture(`${name}/expected.safetensors`);
    const { shape, data } = fixture(key);
    const { stdout, stderr } = await succeed(
      ...["trace", model, "--part", part, "--batch", String(shape[0])],
    );
    assertEquals(stderr, "");
    const { names, dims, values } = await runOn(stdout, fixture, output);
    assertEquals([names, dims], [[...inputs], [...shape]]);
    const largest = Math.max(...data.map(Math.abs));
    const differences = values.map((value, index) => Math.abs(value - (data[index] ?? NaN)));
    assert(Math.max(...differences) <= tolerance * largest, `${Math.max(...differences)}`);
    assertEquals(metadataOf(stdout)["denoise.part"], part);
  });
}

check("trace writes only ONNX's own operations, also where the engine takes others", async () => {
  // So many images that the engine computes their attention by an operation of ONNX Runtime.
  const { stdout } = await succeed("trace", folderOf("unet2d-classcond"), "--batch", "8192");
  const sets = fieldsOf(stdout).get(8) ?? [];
  assertEquals(sets.map((set) => textOf(fieldsOf(set).get(1)?.[0])), [""]); // their domains
});

check("trace -o writes a whole file, with the permissions of its task", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const path = join(folder, "new", "tiny.onnx"); // its folder is made
  const { code, stdout, stderr } = await run(["trace", "tiny", "-o", path], folder);
  assertEquals([code, stdout], [0, ""], stderr);
  assert(/^Wrote .*tiny\.onnx \(unet of tiny, \d\.\d MB\)\n$/.test(stderr), stderr);
  assertEquals(await filesOf(join(folder, "new")), ["tiny.onnx"]);
  const bytes = await Deno.readFile(path);
  for (const to of [[], ["-o", "-"]]) {
    assertEquals((await succeed("trace", model, ...to)).stdout, bytes);
  }
  const metadata = metadataOf(bytes);
  assertEquals(metadata["denoise.model"], "tiny");
  assertEquals(JSON.parse(metadata["denoise.labels"] ?? ""), LABELS);
  assertEquals(JSON.parse(metadata["denoise.scheduler"] ?? "").beta_schedule, "linear");
});

check("trace --external-data always writes the weights beside the file", async (folder) => {
  const model = folderOf("unet2d-classcond");
  const fixture = readFixture("unet2d-classcond/expected.safetensors");
  const batch = ["--batch", String(fixture("y").shape[0])];
  const whole = await succeed("trace", model, ...batch);
  const path = join(folder, "x.onnx");
  const { stderr } = await succeed(
    ...["trace", model, ...batch, "--external-data", "always", "-o", path],
  );
  assert(stderr.includes(`${path} and ${path}.data`), stderr);
  assertEquals(await filesOf(folder), ["x.onnx", "x.onnx.data"]);
  const { size } = await Deno.stat(path);
  assert(size < 0.2 * whole.stdout.length, `${size} bytes beside ${whole.stdout.length}`);
  // ONNX Runtime finds the weights by the file's own path; the results are the same to the bit.
  const [beside, inside] = [
    await runOn(path, fixture, "out_sample"),
    await runOn(whole.stdout, fixture, "out_sample"),
  ];
  assertEquals(beside.values, inside.values);
  await refuse(2, "give -o FILE", "trace", model, "--external-data", "always");
});

check("trace fails in one sentence and leaves no file", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const output = ["-o", join(folder, "x.onnx")];
  const missing = "the model has no classifier/ folder";
  await refuse(1, missing, "trace", model, "--part", "classifier", ...output);
  await refuse(1, missing, "trace", model, "--part", "classifier-gradient", ...output);
  await refuse(1, "Cannot find the model", "trace", join(folder, "none"), ...output);
  await refuse(2, "did you mean unet?", "trace", model, "--part", "unett", ...output);
  await refuse(2, "--batch", "trace", model, "--batch", "0", ...output);
  await refuse(1, "it is a folder", "trace", model, "-o", folder);
  assertEquals(await filesOf(folder), ["tiny"]);
});

check("trace does not write a model to a terminal", async (folder) => {
  const io: Io = Object.create(processIo(), { stdoutIsTerminal: { value: true } });
  for (const args of [[folder], [folder, "-o", "-"]]) {
    const parsed = parse(trace, args);
    await assertRejects(() => trace.run({ ...parsed, io }), UsageError, "to a terminal");
  }
});
