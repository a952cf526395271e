import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { run } from "../cli/_run.ts";
import { encodeSafetensors, readSafetensors } from "../../models/safetensors.ts";
import { unCLIP } from "../verification/_copy.ts";
import { check, denoise, refuse, succeed } from "./_main.ts";
import { editJson, writeTiny } from "./_tiny.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

check("info prints a model's card", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model, { classifier: true });
  const card = "---\nlicense: mit\n---\n\n# Tiny animals\n\n[badge]\n\nOf 8x8 pixels.\n\nMore.\n";
  await Deno.writeTextFile(join(model, "README.md"), card);
  const { stdout, stderr } = await succeed("info", model);
  assertEquals(stderr, "");
  const lines = text(stdout).split("\n");
  assertEquals(lines.slice(0, 4), ["tiny", "  Tiny animals", "  Of 8x8 pixels.", ""]);
  for (
    const line of [
      `  folder      ${model}`,
      "  images      8x8, grey",
      "  classes     cat, dog, fish, and a null class (3)",
      "  schedule    linear, 1000 timesteps; alpha ends at 0.0064",
      "  predicts    epsilon, with fixed variance",
    ]
  ) assert(lines.includes(line), `${line}\n\n${text(stdout)}`);
  assertStringIncludes(text(stdout), " kB of F32\n  images");
  assertStringIncludes(text(stdout), "  sampling    ddim,eta=0; 50 steps, trailing,");
  assertStringIncludes(text(stdout), "  classifier  EncoderUNetModel, ");
});

check("info --json says what sample would do, without the right to write", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const recommended = { sampler: "ddpm", steps: 20, guidance: ["cfg,scale=2"], spacing: "leading" };
  await Deno.writeTextFile(join(model, "sampling.json"), JSON.stringify(recommended));
  const { code, stdout, stderr } = await run(["info", "--json", "tiny"], folder);
  assertEquals([code, stderr], [0, ""]);
  const { unet, sampling, labels, nullClass, classifier, about } = JSON.parse(stdout);
  assertEquals([labels.length, nullClass, classifier, about], [3, 3, undefined, []]);
  assertEquals([unet.class, unet.types, unet.misfits], ["UNet2DModel", ["F32"], []]);
  const { size } = await Deno.stat(join(model, "unet/diffusion_pytorch_model.safetensors"));
  assertEquals(unet.bytes, size);
  assert(unet.parameters * 4 < size && unet.parameters * 4 > size * 0.6);
  assertEquals(sampling, {
    sampler: "ddpm,variance=model",
    steps: 20,
    guidance: ["cfg,scale=2,form=s", "clip,range=1,keep_eps=false"],
    spacing: "leading,offset=0,extra=false,lambda_min=-100,final=zero,start=auto",
    recommended: true,
  });
});

check("info shows every network of unCLIP and checks it", async (folder) => {
  const model = await unCLIP("guided", folder);
  const { stdout } = await succeed("info", model);
  for (
    const line of [
      "  network          UNet2DConditionModel, ",
      "  prior            PriorTransformer, ",
      "  text_proj        UnCLIPTextProjModel, ",
      "  super_res_last   UNet2DModel, ",
      "  images           16x16, RGB",
      "  predicts         epsilon, with learned variance",
      "  sampling         ddpm,variance=model; 25 steps,",
    ]
  ) assertStringIncludes(text(stdout), line);
  for (const part of ["prior", "text_proj", "super_res_first"]) {
    const path = join(model, part, "diffusion_pytorch_model.safetensors");
    const { tensors } = readSafetensors(path);
    const [first, ...rest] = [...tensors.values()].map(({ name, shape, read }) =>
      [name, { shape, values: read() }] as const
    );
    await Deno.writeFile(path, encodeSafetensors(new Map(rest)));
    const { code, stdout } = await denoise("info", model);
    assertEquals(code, 1);
    assertStringIncludes(text(stdout), `  ${part}: ${first?.[0]} [`);
  }
});

check("info names all tensors that do not fit, and fails", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model, {
    classifier: true,
    spoil(tensors) {
      tensors.delete("conv_in.bias");
      tensors.set("conv_out.weight", { shape: [8], values: new Float32Array(8) });
      tensors.set("extra", { shape: [2, 1], values: new Float32Array(2) });
    },
  });
  await editJson(join(model, "classifier", "config.json"), { out_channels: 4 });
  const { code, stdout, stderr } = await denoise("info", model);
  assertEquals(code, 1);
  assertEquals(stderr, "error: Cannot use the model tiny: 5 tensors do not fit config.json\n");
  const listed = text(stdout).split("Tensors that do not fit config.json:\n")[1];
  assertEquals(listed?.trimEnd().split("\n"), [
    "  unet: conv_in.bias [8] is missing",
    "  unet: conv_out.weight is [8], it must be [1, 8, 3, 3]",
    "  unet: extra [2, 1] is no part of the network",
    "  classifier: out.3.weight is [3, 32, 1, 1], it must be [4, 32, 1, 1]",
    "  classifier: out.3.bias is [3], it must be [4]",
  ]);
  const json = await denoise("info", model, "--json");
  const { unet } = JSON.parse(text(json.stdout));
  assertEquals([json.code, unet.misfits.length, unet.misfits[0]], [1, 3, {
    tensor: "conv_in.bias",
    problem: "missing",
    expected: [8],
  }]);
});

check("info fails in one sentence", async (folder) => {
  await refuse(1, "Cannot find the model", "info", join(folder, "none"));
  await refuse(1, "neither a folder unet/ nor a config.json", "info", folder);
  await refuse(2, "info takes [MODEL]", "info", "a", "b");
});

check("info tells the noise process of a model whose time is continuous", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const scheduler = JSON.stringify({ _class_name: "EDMEulerScheduler", sigma_max: 40 });
  await Deno.writeTextFile(join(model, "scheduler/scheduler_config.json"), scheduler);
  const { stdout } = await succeed("info", model);
  assertStringIncludes(
    text(stdout),
    "  schedule    edm, up to sigma 40\n  predicts    edm, with fixed",
  );
  assertStringIncludes(text(stdout), "  sampling    euler,");
});
