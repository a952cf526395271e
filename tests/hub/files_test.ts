import { assertEquals } from "@std/assert";
import { formatRepository, parseRepository } from "../../hub/cache.ts";
import { chooseFiles } from "../../hub/files.ts";
import { hubOf } from "../../hub/settings.ts";
import { chooseWeights } from "../../models/weight_files.ts";

Deno.test("chooseWeights() prefers the variant asked for, then safetensors", () => {
  const names = [
    "config.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.bin",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.non_ema.safetensors",
    "diffusion_flax_model.msgpack",
  ];
  const chosen = (variant?: string) => chooseWeights(names, variant)?.files;
  assertEquals(chosen(), ["diffusion_pytorch_model.safetensors"]);
  assertEquals(chosen("fp16"), ["diffusion_pytorch_model.fp16.safetensors"]);
  assertEquals(chosen("non_ema"), ["diffusion_pytorch_model.non_ema.safetensors"]);
  assertEquals(chosen("bf16"), ["diffusion_pytorch_model.safetensors"]);
  assertEquals(chooseWeights(names.slice(0, 3))?.files, ["diffusion_pytorch_model.bin"]);
  assertEquals(chooseWeights(names.slice(2, 4))?.variant, "fp16");
  assertEquals(chooseWeights(["model.safetensors", "pytorch_model.bin"])?.format, "safetensors");
  assertEquals(chooseWeights(["config.json", "model.onnx"]), undefined);
});

Deno.test("chooseWeights() takes shards with their index, a whole file before them", () => {
  const shards = [
    "model-00002-of-00002.safetensors",
    "model-00001-of-00002.safetensors",
    "model.safetensors.index.json",
  ];
  assertEquals(chooseWeights(shards), {
    files: [
      "model.safetensors.index.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ],
    format: "safetensors",
    index: "model.safetensors.index.json",
  });
  assertEquals(chooseWeights([...shards, "model.safetensors"])?.files, ["model.safetensors"]);
  const halves = [
    "diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
    "diffusion_pytorch_model-00002-of-00002.fp16.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
  ];
  assertEquals(chooseWeights(halves, "fp16")?.files.length, 3);
});

Deno.test("chooseFiles() takes the parts that a pipeline runs", () => {
  const index = {
    _class_name: "StableDiffusionPipeline",
    requires_safety_checker: true,
    unet: ["diffusers", "UNet2DConditionModel"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    safety_checker: ["stable_diffusion", "StableDiffusionSafetyChecker"],
    image_encoder: [null, null],
  };
  const paths = [
    "model_index.json",
    "v1-5-pruned.ckpt",
    "README.md",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "unet/model.onnx",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "safety_checker/config.json",
    "safety_checker/model.safetensors",
    "classifier/config.json",
    "classifier/model.safetensors",
    "other/diffusion_pytorch_model.safetensors",
  ];
  const of = (names: string[]) => paths.filter((path) => names.includes(path)).sort();
  const common = ["model_index.json", "README.md", "unet/config.json", "tokenizer/vocab.json"];
  common.push("tokenizer/merges.txt", "classifier/config.json", "classifier/model.safetensors");
  assertEquals(
    chooseFiles(paths, index).sort(),
    of([...common, "unet/diffusion_pytorch_model.safetensors"]),
  );
  assertEquals(
    chooseFiles(paths, index, "fp16").sort(),
    of([...common, "unet/diffusion_pytorch_model.fp16.safetensors"]),
  );
  const bare = ["config.json", "scheduler_config.json", "diffusion_pytorch_model.bin", "x.png"];
  assertEquals(chooseFiles(bare, undefined), bare.slice(0, 3));
});

Deno.test("parseRepository() reads OWNER/NAME@REVISION and no path", () => {
  assertEquals(parseRepository("a-b/c.d_1"), { id: "a-b/c.d_1", revision: "main" });
  assertEquals(parseRepository("a/b@refs/pr/3"), { id: "a/b", revision: "refs/pr/3" });
  for (const text of ["a", "a/b/c", "./b", "/a/b", "../b", "a/..", "a/b@../../x", "a/b@", ""]) {
    assertEquals(parseRepository(text), undefined, text);
  }
  for (const text of ["a/b", "a/b@v1"]) {
    assertEquals(formatRepository(parseRepository(text)!), text);
  }
});

Deno.test("hubOf() reads the variables that Python's client reads", () => {
  const of = (variables: Record<string, string>) => hubOf((name) => variables[name]);
  assertEquals(of({ HOME: "/h" }).cache, "/h/.cache/huggingface/hub");
  assertEquals(of({ HOME: "/h", XDG_CACHE_HOME: "/x" }).cache, "/x/huggingface/hub");
  assertEquals(of({ HOME: "/h", HF_HOME: "/f" }).cache, "/f/hub");
  assertEquals(of({ HF_HOME: "/f", HF_HUB_CACHE: "/c" }).cache, "/c");
  assertEquals(of({}).endpoint, "https://huggingface.co");
  assertEquals(of({ HF_ENDPOINT: "http://mirror/" }).endpoint, "http://mirror");
  assertEquals([of({}).offline, of({ HF_HUB_OFFLINE: "1" }).offline], [false, true]);
  assertEquals(of({ HF_TOKEN: "hf_x", HF_HOME: "/f" }).token, "hf_x");
});
