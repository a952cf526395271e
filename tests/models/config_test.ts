import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { readJson } from "../../models/config.ts";
import {
  encoderUNet,
  encoderUNetDefaults,
  parseEncoderUNetConfig,
} from "../../models/encoder_unet.ts";
import { findStored, loadedParameters } from "../../models/parameters.ts";
import { parseUNet2DConfig, unet2d, unet2dDefaults } from "../../models/unet_2d.ts";
import type { StoredTensor } from "../../models/weights.ts";
import { recordParameters } from "../../training/parameters.ts";

const TINY = {
  sample_size: 8,
  in_channels: 1,
  out_channels: 1,
  block_out_channels: [8, 16],
  layers_per_block: 1,
  down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
  up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
  norm_num_groups: 4,
};

Deno.test("readJson() reads an object and names a file that holds none", () => {
  const folder = Deno.makeTempDirSync();
  const path = join(folder, "config.json");
  try {
    Deno.writeTextFileSync(path, '{"a": [1]}');
    assertEquals(readJson(path), { a: [1] });
    Deno.writeTextFileSync(path, '{"a": -Infinity, "b": [Infinity, 1], "c": ": Infinity"}');
    assertEquals(readJson(path), { a: -Infinity, b: [Infinity, 1], c: ": Infinity" });
    for (const [text, reason] of [["{", "not JSON"], ["", "not JSON"], ["[]", "a JSON object"]]) {
      Deno.writeTextFileSync(path, text!);
      assertStringIncludes(assertThrows(() => readJson(path), Error, reason).message, path);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  assertThrows(() => readJson(path), Deno.errors.NotFound);
});

Deno.test("parseUNet2DConfig() fills absent keys with diffusers' defaults, but not null ones", () => {
  const values = { sample_size: 32 };
  assertEquals(parseUNet2DConfig(values, "x"), { ...unet2dDefaults, sample_size: 32 });
  assertEquals(parseUNet2DConfig({ attention_head_dim: null }, "x").attention_head_dim, null);
  assertEquals(
    parseUNet2DConfig({ unheard_of: 1, ...TINY }, "x"),
    {
      ...unet2dDefaults,
      ...TINY,
    } as typeof unet2dDefaults,
  );
});

Deno.test("parseUNet2DConfig() says which value does not fit", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ in_channels: "1" }, 'in_channels is "1", it must be an integer of at least 1'],
    [{ in_channels: 0 }, "in_channels is 0"],
    [{ in_channels: null }, "in_channels is null"],
    [{ layers_per_block: 1.5 }, "layers_per_block is 1.5"],
    [{ norm_eps: "tiny" }, 'norm_eps is "tiny", it must be a number'],
    [{ norm_eps: Infinity }, "norm_eps is null"], // as JSON writes it
    [{ flip_sin_to_cos: 1 }, "flip_sin_to_cos is 1, it must be true or false"],
    [{ block_out_channels: 8 }, "block_out_channels is 8, it must be a list"],
    [{ block_out_channels: [8, -16] }, "block_out_channels is [8,-16]"],
    [{ act_fn: "gelu" }, 'act_fn is "gelu", it must be one of silu, swish'],
    [{ mid_block_type: "X" }, 'mid_block_type is "X", it must be one of UNetMidBlock2D, or null'],
    [{ sample_size: [8, 8] }, "sample_size is [8,8]"],
    [
      { down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"] },
      'down_block_types is ["DownBlock2D","CrossAttnDownBlock2D"]',
    ],
    [
      { block_out_channels: [8, 8, 8] },
      "it has 3 block_out_channels, 2 down_block_types and 2 up_block_types",
    ],
    [{ up_block_types: ["UpBlock2D"] }, "2 down_block_types and 1 up_block_types"],
    [{ block_out_channels: [], down_block_types: [], up_block_types: [] }, "at least 1"],
    [{ norm_num_groups: 3 }, "norm_num_groups (3) does not divide 8"],
    [{ attention_head_dim: 5 }, "attention_head_dim (5) does not divide 16"],
    [{ attn_norm_num_groups: 5 }, "attn_norm_num_groups (5) does not divide 16"],
    [{ time_embedding_type: "learned" }, "needs num_train_timesteps"],
    [{ norm_num_groups: null }, "norm_num_groups is null, but DownBlock2D needs it"],
    [
      { down_block_types: ["SkipDownBlock2D", "AttnSkipDownBlock2D"] },
      "the groups of its attention (32) does not divide 16",
    ],
    [{ sample_size: 9 }, "sample_size (9) is not divisible by 2"],
  ];
  for (const [change, reason] of cases) {
    const error = assertThrows(
      () => parseUNet2DConfig({ ...TINY, ...change }, "my/config.json"),
      TypeError,
      reason,
    );
    assertStringIncludes(error.message, 'Cannot use "my/config.json": ');
  }
  // What does not matter is not refused: no level attends, so no head has to fit.
  parseUNet2DConfig({
    ...TINY,
    attention_head_dim: 5,
    add_attention: false,
    down_block_types: ["DownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "UpBlock2D"],
  }, "x");
});

Deno.test("parseEncoderUNetConfig() says which value does not fit", () => {
  assertEquals(parseEncoderUNetConfig({ _class: "EncoderUNetModel" }, "x"), encoderUNetDefaults);
  const cases: [Record<string, unknown>, string][] = [
    [{ pool: "max" }, "pool is"],
    [{ channel_mult: "1,2" }, "channel_mult is"],
    [{ channel_mult: [] }, "channel_mult is empty"],
    [{ model_channels: 48 }, "channel_mult times model_channels is 48"],
    [{ channel_mult: [1, 0] }, "is 0, it must be a multiple of 32"],
    [{ num_head_channels: 0 }, "num_head_channels is 0"],
    [{ num_head_channels: 100 }, "num_head_channels (100) does not divide 256"],
    [{ num_heads: 3 }, "num_heads (3) does not divide 256"],
    [{ image_size: 20 }, "image_size (20) is not divisible by 8"],
    [{ out_channels: 0 }, "out_channels is 0"],
  ];
  for (const [change, reason] of cases) {
    assertThrows(() => parseEncoderUNetConfig(change, "x"), TypeError, reason);
  }
});

Deno.test("findStored() refuses a tensor that is missing, or of another shape or type", () => {
  const spec = {
    name: "conv.weight",
    shape: [3, 3, 1, 8], // HWIO
    layout: "filter",
    init: { constant: 0 },
  } as const;
  const stored = (shape: number[], dtype = "F32"): Map<string, StoredTensor> =>
    new Map([[spec.name, {
      name: spec.name,
      shape,
      dtype,
      read: () => new Float32Array(72),
    }]]);
  assertEquals(findStored(stored([8, 1, 3, 3]), spec).shape, [8, 1, 3, 3]);
  const cases: [Map<string, StoredTensor>, string][] = [
    [new Map(), 'Cannot load "conv.weight": it is missing'],
    [stored([3, 3, 1, 8]), "config.json makes its shape [8, 1, 3, 3], the checkpoint has [3, 3"],
    [stored([8, 1, 9]), "the checkpoint has [8, 1, 9]"],
    [stored([8, 1, 3, 3], "I8"), "its type is I8, weights must be F32, F16, BF16, F64"],
  ];
  for (const [weights, reason] of cases) {
    assertThrows(() => findStored(weights, spec), Error, reason);
  }
});

Deno.test("loadedParameters() loads once, in the layout that is computed with, and frees all", async () => {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  let reads = 0;
  const values = Float32Array.from({ length: 24 }, (_, index) => index);
  const weights = new Map<string, StoredTensor>([["w", {
    name: "w",
    shape: [4, 3, 2, 1], // OIHW
    dtype: "F32",
    read: () => (reads++, values),
  }]]);
  const parameters = loadedParameters(weights);
  const spec = { name: "w", shape: [2, 1, 3, 4], layout: "filter", init: { constant: 0 } } as const;
  const tensor = tf.tidy(() => parameters.get(spec));
  assertEquals(parameters.get(spec), tensor);
  assertEquals([reads, parameters.has("w", false), parameters.has("v", true)], [1, true, false]);
  assertEquals(tensor.shape, [2, 1, 3, 4]);
  const read = await tensor.data();
  // Row 1, column 0, input 2, output 3 stands at [3, 2, 1, 0] of the file.
  assertEquals(read[((1 * 1 + 0) * 3 + 2) * 4 + 3], values[((3 * 3 + 2) * 2 + 1) * 1 + 0]);
  parameters.dispose();
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("unet2d() asks for the parameters that diffusers' state_dict has", async () => {
  await tf.setBackend("cpu");
  const config = parseUNet2DConfig({ ...TINY, num_class_embeds: 3 }, "x");
  const specs = recordParameters((scope) =>
    unet2d(scope, config, tf.zeros([1, 8, 8, 1]), tf.zeros([1]), tf.zeros([1], "int32"))
  );
  const names = specs.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (
    const name of [
      "conv_in.weight",
      "time_embedding.linear_2.bias",
      "class_embedding.weight",
      "down_blocks.0.resnets.0.time_emb_proj.weight",
      "down_blocks.0.downsamplers.0.conv.bias",
      "down_blocks.1.resnets.0.conv_shortcut.weight",
      "down_blocks.1.attentions.0.to_out.0.weight",
      "mid_block.attentions.0.group_norm.weight",
      "up_blocks.0.attentions.1.to_q.bias",
      "up_blocks.0.upsamplers.0.conv.weight",
      "up_blocks.1.resnets.1.norm1.weight",
      "conv_norm_out.bias",
      "conv_out.weight",
    ]
  ) {
    assertEquals(names.includes(name), true, name);
  }
  assertEquals(names.some((name) => name.startsWith("down_blocks.1.downsamplers")), false);
  assertThrows(
    () => recordParameters((scope) => unet2d(scope, config, tf.zeros([1, 8, 8, 1]), tf.zeros([1]))),
    TypeError,
    "without class labels",
  );
});

Deno.test("encoderUNet() builds every pool and both ways of down-sampling", async () => {
  await tf.setBackend("cpu");
  const base = {
    image_size: 4,
    in_channels: 1,
    model_channels: 32,
    out_channels: 3,
    num_res_blocks: 1,
    channel_mult: [1, 1],
  };
  for (
    const change of [
      { pool: "spatial_v2" },
      { pool: "attention", conv_resample: true },
      { pool: "adaptive", conv_resample: false, num_heads: 4 },
      { pool: "adaptive", resblock_updown: true, use_new_attention_order: true },
    ]
  ) {
    const config = parseEncoderUNetConfig({ ...base, ...change }, "x");
    let shape: number[] = [];
    recordParameters((scope) => {
      shape = encoderUNet(scope, config, tf.zeros([2, 4, 4, 1]), tf.zeros([2])).shape;
    });
    assertEquals(shape, [2, 3]);
  }
});
