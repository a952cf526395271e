import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { renamed } from "../../models/formats/derived.ts";
import { loadedParameters } from "../../models/parameters.ts";
import { scopeOf } from "../../models/scope.ts";
import type { StoredTensor, Weights } from "../../models/weights.ts";
import { convertCompVis } from "../../pipeline/converted.ts";
import { shardsOf } from "../../pipeline/folder.ts";
import { unetOf as unetBy } from "../../pipeline/unet.ts";
import cases from "../fixtures/compvis/names.json" with { type: "json" };
import { differencesOf, unetOf } from "../_parity.ts";

const { inputs, expected, weights } = unetOf("openai-unet-convresample");

/** Tensors below a prefix; of the first stage only the shapes matter. */
function latentDiffusion(prefix: (name: string) => string): Weights {
  const stage = Object.entries(cases.sd1.stored).filter(([name]) => name.startsWith("first_stage"))
    .map(([name, shape]): StoredTensor => ({
      name,
      shape: shape as number[],
      dtype: "F32",
      read: () => new Float32Array(),
    }));
  const unet = [...weights.values()].map((tensor) => renamed(tensor, prefix(tensor.name)));
  return new Map([...stage, ...unet].map((tensor) => [tensor.name, tensor]));
}

const plain = latentDiffusion((name) => `model.diffusion_model.${name}`);
const heads = { modelFlags: "--num_head_channels 8" }; // four of 32 channels

Deno.test("convertCompVis() gives diffusers the network of latent diffusion", async () => {
  const { networks, files } = convertCompVis(plain, heads);
  assertEquals(networks.map(({ folder }) => folder), ["unet", "vqvae"]);
  assertEquals((files["model_index.json"] as { _class_name: string })._class_name, "LDMPipeline");
  const [unet] = networks;
  const network = unetBy(unet!.config!, "config.json", { folder: "", weights: unet!.weights });
  await tf.setBackend("cpu");
  const loaded = loadedParameters(network.weights);
  const used = new Set<string>();
  const scope = scopeOf({ ...loaded, get: (spec) => (used.add(spec.name), loaded.get(spec)) });
  const differences = tf.tidy(() => {
    const answer = network.answer(scope, ...inputs() as [tf.Tensor, tf.Tensor]);
    return expected.flatMap((one) => differencesOf(answer, one));
  });
  loaded.dispose();
  assert(Math.max(...differences) < 1e-5, `${differences}`);
  assertEquals([...network.weights.keys()].filter((name) => !used.has(name)), []);
});

Deno.test("convertCompVis() asks for the size of heads, and takes the moving average", () => {
  assertThrows(() => convertCompVis(plain, {}), TypeError, "how large its heads are");
  assertThrows(() => convertCompVis(plain, { ...heads, ema: true }), TypeError, "leave out --ema");
  const average = latentDiffusion((name) => `model_ema.diffusion_model${name.replaceAll(".", "")}`);
  const bias = plain.get("model.diffusion_model.out.2.bias")!;
  const both = new Map([...plain, ...average]);
  both.set("model_ema.diffusion_modelout2bias", { ...bias, read: () => new Float32Array([7]) });
  const biasOf = (ema: boolean) =>
    convertCompVis(both, { ...heads, ema }).networks[0]!.weights.get("conv_out.bias")!.read();
  assertEquals(biasOf(true), new Float32Array([7]));
  assertEquals(biasOf(false), bias.read());
});

Deno.test("shardsOf() fills files up to their size, and gives a large tensor its own", () => {
  const tensor = (name: string, count: number): StoredTensor => ({
    ...{ name, shape: [count], dtype: "F32", read: () => new Float32Array(count) },
  });
  const tensors = [tensor("a", 3), tensor("b", 2), tensor("c", 1), tensor("d", 9), tensor("e", 1)];
  const names = (most: number, dtype: "F32" | "F16") =>
    shardsOf(tensors, dtype, most).map((shard) => shard.map(({ name }) => name).join(""));
  assertEquals(names(20, "F32"), ["ab", "c", "d", "e"]);
  assertEquals(names(12, "F16"), ["abc", "d", "e"]);
  assertEquals(names(Infinity, "F32"), ["abcde"]);
  assertEquals(names(1, "F32"), ["a", "b", "c", "d", "e"]);
});
