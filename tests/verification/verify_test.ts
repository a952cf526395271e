import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { encodeSafetensors, readSafetensors } from "../../models/safetensors.ts";
import { differenceOf } from "../../verification/compare.ts";
import { check, denoise, refuse, succeed } from "../commands/_main.ts";
import { folderOf } from "../_parity.ts";
import { changeWeight, copyFolder } from "./_copy.ts";

const parse = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));

const NETWORKS = [
  ["unet2d-ddpm", "diffusion_pytorch_model.safetensors", "conv_out.bias"],
  ["unet2d-ddpm-legacykeys", "diffusion_pytorch_model.safetensors", "conv_out.bias"],
  ["unet2d-classcond", "diffusion_pytorch_model.safetensors", "conv_out.bias"],
  ["openai-classifier-attention", "model.safetensors", "out.0.bias"],
] as const;

for (const [name, file, tensor] of NETWORKS) {
  check(`verify passes on ${name}, and not where one weight is another`, async (folder) => {
    const copy = await copyFolder(folderOf(name), join(folder, "copy"));
    const { stdout, stderr } = await succeed("verify", copy, "--json");
    const [{ kind, compared, ignored }] = parse(stdout);
    assertEquals([kind, stderr, ignored], ["network", "", []]);
    await changeWeight(join(copy, file), tensor, 0.01);
    const wrong = await denoise("verify", copy);
    assertEquals(wrong.code, 1);
    const [first] = compared;
    const told = `error: Cannot confirm "${copy}": ${first.name} differs by `;
    assert(wrong.stderr.startsWith(told), wrong.stderr);
    assert(wrong.stderr.includes("at most 0.0001 is allowed"), wrong.stderr);
    await succeed("verify", copy, "--tolerance", "10");
  });
}

check("verify runs a pipeline from the seeds beside it", async (folder) => {
  const copy = await copyFolder(folderOf("pipeline-ddim"), join(folder, "copy"));
  await copyFolder(folderOf("unet2d-ddpm"), join(copy, "unet"));
  const write = (name: string, value: unknown) =>
    Deno.writeTextFile(join(copy, name), JSON.stringify(value));
  await write("model_index.json", { _class_name: "DDIMPipeline" });
  await refuse(1, "seed of the run is undefined, it must be an integer", "verify", copy);
  await write("info.json", { seeds: [0, 1] });
  await refuse(1, "num_inference_steps of the run is undefined", "verify", copy);
  await write("info.json", { seeds: [0, 1], num_inference_steps: 10 });
  const { stdout } = await succeed("verify", copy, "--json");
  const [{ kind, compared }] = parse(stdout);
  const names = compared.map(({ name }: { name: string }) => name).sort();
  assertEquals(kind, "pipeline");
  assertEquals(names, [
    "eta0.images",
    "eta0.traj",
    "eta1.images",
    "eta1.traj",
    "initial_noise",
    "timesteps",
  ]);
  await write("info.json", { seeds: [0, 2], num_inference_steps: 10 });
  const wrong = await denoise("verify", copy);
  assertEquals(wrong.code, 1);
  assert(wrong.stderr.includes("initial_noise differs by"), wrong.stderr);
});

check("verify says what is missing", async (folder) => {
  await refuse(1, "it holds no expected.safetensors", "verify", folder);
  const copy = await copyFolder(folderOf("unet2d-ddpm"), join(folder, "copy"));
  const path = join(copy, "expected.safetensors");
  const some = async (...names: string[]) => {
    const { tensors } = readSafetensors(join(folderOf("unet2d-ddpm"), "expected.safetensors"));
    const kept = [...tensors].filter(([name]) => names.includes(name));
    const values = kept.map(([name, { shape, read }]) =>
      [name, { shape, values: read() }] as const
    );
    await Deno.writeFile(path, encodeSafetensors(new Map(values)));
  };
  await some("x", "y");
  await refuse(1, 'expected.safetensors holds y, and no "t" to compute it from', "verify", copy);
  await some("x", "t");
  await refuse(1, "of which this network gives none", "verify", copy);
  await Deno.writeTextFile(join(copy, "config.json"), JSON.stringify({ _class_name: "Other" }));
  await refuse(1, "a network of class Other is not known", "verify", copy);
});

Deno.test("differenceOf() measures each element of a batch by its own largest value", () => {
  const [shape, data] = [[2, 2], [100, 0, 1, 0]];
  const found = { shape, data: [100, 0.01, 1, 0.01] };
  const { size, at } = differenceOf(found, { shape, data }, "element");
  assertEquals([size, at], [0.01, [1, 1]]);
  assertEquals(differenceOf(found, { shape, data }, "unit").size, 0.01 / 100);
  assertEquals(differenceOf(found, { shape, data }, "exact").size, 0.01);
  assertEquals(differenceOf({ shape, data: [1, NaN, 2, 3] }, found, "unit").size, Infinity);
  assertThrows(() => differenceOf({ shape: [4], data }, found, "unit"), TypeError, "[4]");
});
