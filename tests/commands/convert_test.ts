import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { encodePng } from "../../images/png.ts";
import { sizeOf } from "../../commands/convert.ts";
import { readJson } from "../../models/config.ts";
import { loadedParameters } from "../../models/parameters.ts";
import { encodeSafetensors, type NewTensor } from "../../models/safetensors.ts";
import { scopeOf } from "../../models/scope.ts";
import { noiseStream } from "../../noise/mod.ts";
import { openModel, openWeights } from "../../pipeline/model.ts";
import cases from "../fixtures/compvis/names.json" with { type: "json" };
import { differencesOf, folderOf, unetOf } from "../_parity.ts";
import { check, filesOf, readPng, refuse, succeed } from "./_main.ts";
import { writeTiny } from "./_tiny.ts";

for (const [name, heads] of [["legacy-pt", "16"], ["neworder", "16"]] as const) {
  check(`convert writes OpenAI's network as diffusers' own: ${name}`, async (folder) => {
    const from = folderOf(`openai-unet-${name}`);
    const file = name === "neworder" ? "model.safetensors" : "model.pt";
    const flags = `--image_size 8 --noise_schedule cosine --num_head_channels ${heads}`;
    const order = `--use_new_attention_order ${name === "neworder"}`;
    const input = join(folder, file);
    await Deno.copyFile(join(from, file), input);
    const out = join(folder, "out");
    await succeed("convert", input, "--model-flags", `${flags} ${order}`, "-o", out);
    const { unet, scheduler } = openModel(out);
    assertEquals([unet.kind, unet.classes], ["UNet2DModel", 10]);
    assertEquals(scheduler["beta_schedule"], "squaredcos_cap_v2");
    // What guidance-diffusion gives, of diffusers' network with the renamed weights
    const { inputs, expected } = unetOf(`openai-unet-${name}`);
    await tf.setBackend("cpu");
    const loaded = loadedParameters(unet.weights);
    const differences = tf.tidy(() => {
      const given = inputs() as [tf.Tensor, tf.Tensor];
      return expected.flatMap((one) => differencesOf(unet.answer(scopeOf(loaded), ...given), one));
    });
    loaded.dispose();
    assert(Math.max(...differences) < 1e-5, `${differences}`);
    await succeed("info", out); // every tensor has its place
  });
}

/** Stable Diffusion in little, as a file of CompVis. */
async function writeCompVis(path: string, kind: "sd1" | "sd2", scale = 1): Promise<void> {
  let next = 0;
  const tensors = Object.entries(cases[kind].stored).map(([name, shape]): [string, NewTensor] => {
    const count = (shape as number[]).reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => scale * next++);
    return [name, { shape: shape as number[], values }];
  });
  await Deno.writeFile(path, encodeSafetensors(new Map(tensors)));
}

check("convert writes Stable Diffusion 1 in shards of bfloat16", async (folder) => {
  const input = join(folder, "sd.ckpt");
  await writeCompVis(input, "sd1");
  const out = join(folder, "out");
  const tokenizer = folderOf("clip-tokenizer");
  await succeed(
    ...["convert", input, "-o", out, "--dtype", "bf16", "--shard-size", "1.5MB"],
    ...["--tokenizer", tokenizer],
  );
  assertEquals(await filesOf(out), [
    ...["model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae"],
  ]);
  const shards = (await filesOf(join(out, "unet"))).filter((name) => name.endsWith("tensors"));
  assert(shards.length > 1, `${shards}`);
  for (const shard of shards) {
    assert((await Deno.stat(join(out, "unet", shard))).size < 1.6e6, shard);
  }
  const weights = openWeights(join(out, "unet"));
  assertEquals(new Set(weights.keys()), new Set(Object.keys(cases.sd1.converted.unet)));
  const { shape, dtype, read } = weights.get("conv_in.weight")!;
  const [, first, last] = cases.sd1.converted.unet["conv_in.weight"] as [number[], number, number];
  assertEquals([shape, dtype], [[32, 4, 3, 3], "BF16"]);
  const near = (value: number, wanted: number) => Math.abs(value - wanted) <= wanted / 256;
  assert(near(read()[0]!, first) && near(read().at(-1)!, last));
  const config = readJson(join(out, "unet", "config.json"));
  assertEquals(config["_class_name"], "UNet2DConditionModel");
  assertEquals(config["down_block_types"], [
    ...["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  ]);
  assertEquals([config["cross_attention_dim"], config["attention_head_dim"]], [16, 8]);
  assertEquals([config["block_out_channels"], config["sample_size"]], [[32, 64, 64], 256]);
  assert((await filesOf(join(out, "tokenizer"))).includes("vocab.json"));
  assertEquals(readJson(join(out, "model_index.json"))["_class_name"], "StableDiffusionPipeline");
});

check("sample and info open Stable Diffusion in one file as its folder", async (folder) => {
  const input = join(folder, "sd.safetensors");
  await writeCompVis(input, "sd1", 1e-8);
  await refuse(1, "such files hold no tokenizer", "info", input);
  const tokenizer = ["--tokenizer", folderOf("clip-tokenizer")];
  const out = join(folder, "out");
  await succeed("convert", input, "-o", out, ...tokenizer);
  const [file, made] = [openModel(input, { tokenizer: tokenizer[1] }), openModel(out)];
  assertEquals(file.unet.config, made.unet.config);
  assertEquals(file.autoencoder!.config, made.autoencoder!.config);
  assertEquals(file.text!.config, made.text!.config);
  assertEquals([file.pipeline, file.scheduler], [made.pipeline, made.scheduler]);
  for (const part of ["unet", "autoencoder", "text"] as const) {
    assertEquals(
      [...file[part]!.weights].map(([name, { read }]) => [name, read()[0]]),
      [...made[part]!.weights].map(([name, { read }]) => [name, read()[0]]),
    );
  }
  await refuse(1, "Cannot use --prediction with", "info", "digits", "--prediction", "epsilon");
  const { stdout } = await succeed("info", input, ...tokenizer);
  assertStringIncludes(new TextDecoder().decode(stdout), "UNet2DConditionModel");
});

/**
 * The same with weights that draw something, room for the tokens of `clip-tokenizer`, and a UNet that
 * reads what its text encoder gives.
 */
async function writeDrawing(
  path: string,
  kind: "sd1" | "sd2",
  changed: Readonly<Record<string, number[]>> = {},
): Promise<void> {
  const noise = noiseStream("philox", 1);
  const shapes = Object.entries({ ...cases[kind].stored, ...changed });
  const tensors = shapes.map(([name, stored]): [string, NewTensor] => {
    const [first = 1, ...sides] = stored as number[];
    const rest = /attn2\.to_[kv]\.weight$/.test(name) ? [64] : sides;
    const rows = name.endsWith("token_embedding.weight")
      ? 624
      : name.endsWith("position_embedding.weight") || name.endsWith("positional_embedding")
      ? 77
      : first;
    const fan = rest.reduce((product, size) => product * size, 1);
    const isScale = rest.length === 0 && name.endsWith("weight");
    const values = noise.normal(rows * fan)
      .map((value) => rest.length > 0 ? value / Math.sqrt(fan) : Number(isScale) + value / 10);
    return [name, { shape: [rows, ...rest], values }];
  });
  await Deno.writeFile(path, encodeSafetensors(new Map(tensors)));
}

for (
  const [kind, prediction] of [["sd1", []], ["sd2", ["--prediction", "v_prediction"]]] as const
) {
  check(`sample draws from one file of ${kind} what it draws from its folder`, async (folder) => {
    const [input, made] = [join(folder, "sd.safetensors"), join(folder, "made")];
    await writeDrawing(input, kind);
    const tokenizer = ["--tokenizer", folderOf("clip-tokenizer")];
    await succeed("convert", input, "-o", made, ...tokenizer, ...prediction);
    const small = ["--width", "16", "--height", "16", "--steps", "2", "--seed", "1"];
    const asked = ["--prompt", "a small red cat", ...small];
    const draw = async (name: string, ...args: string[]) => {
      const out = join(folder, `${name}.png`);
      await succeed("sample", ...args, "-o", out);
      return await readPng(out);
    };
    const { pixels } = await draw("file", input, ...tokenizer, ...prediction, ...asked);
    assert(new Set(pixels).size > 32, "a picture of few values says little");
    assertEquals((await draw("folder", made, ...asked)).pixels, pixels);
    const { stdout } = await succeed("metadata", join(folder, "file.png"), "--json");
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)).denoise.prediction, prediction[1]);
    const from = ["--from", join(folder, "file.png")];
    assertEquals((await draw("again", input, ...tokenizer, ...from)).pixels, pixels);
    const other = await draw("other", made, ...asked, "--prompt", "a dog");
    assert(String(other.pixels) !== String(pixels));
  });
}

check("convert and sample know the upscaler of Stable Diffusion 2 in one file", async (folder) => {
  const [input, made] = [join(folder, "sd.safetensors"), join(folder, "made")];
  const unet = "model.diffusion_model";
  const blocks = ["input_blocks.1", "input_blocks.2", "output_blocks.6", "output_blocks.7"];
  const keys = [...blocks, "output_blocks.8"].flatMap((block) =>
    ["to_k", "to_v"].map((part) => `${unet}.${block}.1.transformer_blocks.0.attn1.${part}.weight`)
  );
  await writeDrawing(input, "sd2", {
    [`${unet}.input_blocks.0.0.weight`]: [32, 7, 3, 3],
    [`${unet}.label_emb.weight`]: [1000, 128],
    ...Object.fromEntries(keys.map((name) => [name, [32, 64]])),
  });
  const tokenizer = ["--tokenizer", folderOf("clip-tokenizer")];
  await succeed("convert", input, "-o", made, ...tokenizer);
  // What the folder of stable-diffusion-x4-upscaler says.
  const config = readJson(join(made, "unet", "config.json"));
  assertEquals(config["only_cross_attention"], [true, false, false]);
  assertEquals([config["num_class_embeds"], config["attention_head_dim"]], [1000, 8]);
  assertEquals(config["sample_size"], 128);
  assertEquals(readJson(join(made, "vae", "config.json"))["scaling_factor"], 0.08333);
  const index = readJson(join(made, "model_index.json"));
  assertEquals(index["_class_name"], "StableDiffusionUpscalePipeline");
  assertEquals([index["max_noise_level"], index["low_res_scheduler"]], [
    350,
    ["diffusers", "DDPMScheduler"],
  ]);
  const scheduler = readJson(join(made, "scheduler", "scheduler_config.json"));
  assertEquals([scheduler["prediction_type"], scheduler["beta_end"]], ["v_prediction", 0.02]);
  const low = join(folder, "low.png");
  const png = encodePng(new Uint8Array(8 * 8 * 3).fill(90), { width: 8, height: 8, channels: 3 });
  await Deno.writeFile(low, png);
  const asked = ["--prompt", "a cat", "--low-res", low, "--steps", "1", "--seed", "1"];
  const [one, other] = [join(folder, "one.png"), join(folder, "other.png")];
  await succeed("sample", input, ...tokenizer, ...asked, "-o", one);
  await succeed("sample", made, ...asked, "-o", other);
  const { width, pixels } = await readPng(one);
  assertEquals([width, pixels], [16, (await readPng(other)).pixels]);
});

check("convert refuses what diffusers has no pipeline for", async (folder) => {
  const out = ["-o", join(folder, "out")];
  const input = join(folder, "up.pt");
  await Deno.copyFile(join(folderOf("openai-superres"), "model.pt"), input);
  await Deno.copyFile(
    join(folderOf("openai-superres"), "config.json"),
    join(folder, "config.json"),
  );
  const message = `Cannot convert "${input}": diffusers has no pipeline for a SuperResModel`;
  await refuse(1, message, "convert", input, ...out);
  const odd = join(folder, "odd.safetensors");
  await writeDrawing(odd, "sd1", {
    "model.diffusion_model.input_blocks.0.0.weight": [32, 5, 3, 3],
  });
  await refuse(1, "its UNet takes 5 channels", "convert", odd, ...out);
});

check("convert asks what Stable Diffusion 2 predicts", async (folder) => {
  const input = join(folder, "sd2.safetensors");
  await writeCompVis(input, "sd2", 1e-6);
  const out = join(folder, "out");
  await refuse(1, "do not say what they predict", "convert", input, "-o", out);
  const { stderr } = await succeed(
    ...["convert", input, "-o", out, "--prediction", "v_prediction", "--dtype", "f16"],
  );
  assertStringIncludes(stderr, "The folder has no tokenizer/");
  const config = readJson(join(out, "unet", "config.json"));
  assertEquals([config["use_linear_projection"], config["attention_head_dim"]], [true, [1, 1, 1]]);
  assertEquals(openWeights(join(out, "text_encoder")).size, 2 * 16 + 4);
  const { read } = openWeights(join(out, "vae")).get("quant_conv.bias")!;
  assert(read()[0]! > 0.5 && read()[0]! < 4); // halves of what was stored
});

check(
  "convert refuses halves that cannot hold a weight, and what fits no input",
  async (folder) => {
    const input = join(folder, "sd.safetensors");
    await writeCompVis(input, "sd1");
    const out = join(folder, "out");
    await refuse(1, "halves end at 65504", "convert", input, "-o", out, "--dtype", "f16");
    await refuse(2, "Cannot run convert without INPUT", "convert", "-o", out);
    await refuse(2, "without -o FOLDER", "convert", input);
    await refuse(2, "says nothing of such a model", "convert", "digits", "-o", out, "--ema");
    await refuse(
      2,
      "says nothing of such a model",
      "convert",
      input,
      "-o",
      join(folder, "b"),
      "--variant",
      "x",
    );
    await refuse(2, "it is there already", "convert", input, "-o", folder);
    await refuse(
      2,
      "Cannot use --shard-size 0",
      "convert",
      input,
      "-o",
      join(folder, "c"),
      "--shard-size",
      "0",
    );
    await refuse(1, "no moving average", "convert", input, "-o", join(folder, "d"), "--ema");
    assertEquals([sizeOf("2GB"), sizeOf("1.5mb"), sizeOf("12"), sizeOf(undefined)], [
      2e9,
      1.5e6,
      12,
      undefined,
    ]);
  },
);

check("convert writes a folder anew, in halves", async (folder) => {
  const tiny = join(folder, "tiny");
  await writeTiny(tiny, { classifier: true });
  const out = join(folder, "out");
  await succeed("convert", tiny, "-o", out, "--dtype", "f16");
  const [old, made] = [openModel(tiny), openModel(out)];
  assertEquals([made.labels, made.scheduler, made.unet.config], [
    old.labels,
    old.scheduler,
    old.unet.config,
  ]);
  for (const [name, { dtype, read }] of made.unet.weights) {
    assertEquals(dtype, "F16");
    assertEquals(read(), new Float32Array(new Float16Array(old.unet.weights.get(name)!.read())));
  }
  assertEquals(made.classifier!.weights.size, old.classifier!.weights.size);
  assertEquals(made.unet.weights.size, old.unet.weights.size);
});
