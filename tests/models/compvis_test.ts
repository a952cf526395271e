import { assertEquals, assertThrows } from "@std/assert";
import { convertAutoencoder } from "../../models/compvis/autoencoder.ts";
import { below, splitProjection } from "../../models/compvis/names.ts";
import { convertText } from "../../models/compvis/text.ts";
import { convertUNet } from "../../models/compvis/unet.ts";
import type { StoredTensor, Weights } from "../../models/weights.ts";
import cases from "../fixtures/compvis/names.json" with { type: "json" };

/** A checkpoint whose elements count on from tensor to tensor. */
function counted(shapes: Readonly<Record<string, readonly number[]>>): Weights {
  let next = 0;
  return new Map(
    Object.entries(shapes).map(([name, shape]): [string, StoredTensor] => {
      const size = shape.reduce((product, size) => product * size, 1);
      const start = next;
      next += size;
      const read = () => Float32Array.from({ length: size }, (_, index) => start + index);
      return [name, { name, shape, dtype: "F32", read }];
    }),
  );
}

/** Name, shape, first and last element of each tensor, in the order of names. */
function outline(weights: Weights): [string, unknown[]][] {
  return [...weights].map(([name, { name: own, shape, read }]): [string, unknown[]] => {
    assertEquals(own, name);
    const values = read();
    return [name, [shape, values[0], values.at(-1)]];
  }).sort(([a], [b]) => a < b ? -1 : 1);
}

const ordered = (expected: object) =>
  Object.entries(expected).sort(([a], [b]) => a < b ? -1 : 1) as [string, unknown[]][];

for (const kind of ["sd1", "sd2"] as const) {
  const { stored, converted } = cases[kind];
  const weights = counted(stored as Record<string, number[]>);

  Deno.test(`convertUNet() has the names of diffusers for ${kind}`, () => {
    const unet = convertUNet(below(weights, "model.diffusion_model."));
    assertEquals(outline(unet.weights), ordered(converted.unet));
    assertEquals(unet.shapes.num_res_blocks, 2);
    assertEquals(unet.shapes.channel_mult, [1, 2, 2]);
    assertEquals(unet.shapes.attention_resolutions, [1, 2]);
    assertEquals(unet.crossAttends, true);
  });

  Deno.test(`convertAutoencoder() has the names of diffusers for ${kind}`, () => {
    const { config, weights: vae } = convertAutoencoder(below(weights, "first_stage_model."), 16);
    assertEquals(outline(vae), ordered(converted.vae));
    assertEquals(config["block_out_channels"], [32, 64]);
    assertEquals([config["layers_per_block"], config["latent_channels"]], [1, 4]);
  });

  Deno.test(`convertText() has the names of transformers for ${kind}`, () => {
    const text = convertText(weights)!;
    assertEquals(outline(text.weights), ordered(converted.text_encoder));
    assertEquals(text.isOpenClip, kind === "sd2");
    assertEquals(text.config["num_hidden_layers"], 2);
    assertEquals(text.config["hidden_act"], kind === "sd2" ? "gelu" : "quick_gelu");
  });
}

Deno.test("splitProjection() takes the parts of heads that lie together apart", () => {
  const [qkv] = counted({ qkv: [12, 1, 1] }).values(); // two heads of two
  const parts = splitProjection(qkv!, "a", "weight", { together: true, size: 2 });
  assertEquals(parts.map(({ name, shape }) => [name, shape]), [
    ["a.to_q.weight", [4, 1]],
    ["a.to_k.weight", [4, 1]],
    ["a.to_v.weight", [4, 1]],
  ]);
  assertEquals(parts.map(({ read }) => [...read()]), [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]);
  const apart = splitProjection(qkv!, "a", "weight");
  assertEquals(apart.map(({ read }) => [...read()]), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]);
});

Deno.test("convertUNet() names a tensor that belongs to no network", () => {
  const weights = counted(cases.sd1.stored as Record<string, number[]>);
  const unet = below(weights, "model.diffusion_model.");
  unet.set("adapter.weight", { ...unet.get("out.2.bias")!, name: "adapter.weight" });
  assertThrows(() => convertUNet(unet), TypeError, '"adapter.weight" belongs to no network');
  assertThrows(() => convertUNet(new Map()), TypeError, "no network of guided-diffusion");
  assertThrows(() => convertAutoencoder(new Map(), 16), TypeError, "no first stage");
  assertEquals(convertText(new Map()), undefined);
});
