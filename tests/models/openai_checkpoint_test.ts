import { assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { shapesOf } from "../../engines/onnx/shapes.ts";
import { readJson } from "../../models/config.ts";
import {
  encoderUNet,
  type EncoderUNetConfig,
  encoderUNetDefaults,
  parseEncoderUNetConfig,
} from "../../models/encoder_unet.ts";
import { argumentsOf, parseArguments } from "../../models/openai_arguments.ts";
import { openaiDefaults } from "../../models/openai_blocks.ts";
import { describeClassifier, describeUNet } from "../../models/openai_checkpoint.ts";
import {
  openaiUNet,
  type OpenAIUNetConfig,
  parseOpenAIUNetConfig,
} from "../../models/openai_unet.ts";
import { type ParameterSpec, storedShape } from "../../models/scope.ts";
import type { Weights } from "../../models/weights.ts";
import { folderOf } from "../_parity.ts";

/** A checkpoint of shapes alone. */
function shaped(specs: readonly ParameterSpec[]): Weights {
  return new Map(specs.map(({ name, shape, layout }) => [name, {
    name,
    shape: storedShape(shape, layout),
    dtype: "F32",
    read: () => new Float32Array(),
  }]));
}

async function unetShapes(config: OpenAIUNetConfig, channels = config.in_channels) {
  await tf.setBackend("cpu");
  const { image_size: edge } = config;
  return shaped(
    shapesOf(
      (scope, ...inputs) => [
        openaiUNet(...[scope, config, ...inputs] as Parameters<typeof openaiUNet>),
      ],
      [[1, edge, edge, channels], [1], { shape: [1], dtype: "int32" }],
    ).parameters,
  );
}

async function classifierShapes(config: EncoderUNetConfig) {
  await tf.setBackend("cpu");
  const { image_size: edge, in_channels: channels } = config;
  return shaped(
    shapesOf(
      (scope, ...inputs) => [
        encoderUNet(...[scope, config, ...inputs] as Parameters<typeof encoderUNet>),
      ],
      [[1, edge, edge, channels], [1]],
    ).parameters,
  );
}

/** ADM at 64 pixels, as OpenAI published it. */
const adm: OpenAIUNetConfig = {
  ...openaiDefaults,
  image_size: 64,
  model_channels: 192,
  out_channels: 6,
  num_res_blocks: 3,
  attention_resolutions: [2, 4, 8],
  channel_mult: [1, 2, 3, 4],
  num_head_channels: 64,
  use_scale_shift_norm: true,
  resblock_updown: true,
  use_new_attention_order: true,
  num_classes: 1000,
  num_heads_upsample: -1,
  small_size: null,
};

const said = (text: string) => parseArguments(text).given;

/** The flags of OpenAI's page for that model. */
const FLAGS =
  "--attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --dropout 0.1 --image_size 64 --learn_sigma True --noise_schedule cosine --num_channels 192 --num_head_channels 64 --num_res_blocks 3 --resblock_updown True --use_new_attention_order True --use_fp16 True --use_scale_shift_norm True";

Deno.test("describeUNet() finds what OpenAI's command line says, and by the file's name alone", async () => {
  const weights = await unetShapes(adm);
  const byFlags = describeUNet(weights, said(FLAGS), "model");
  assertEquals(byFlags.kind, "UNetModel");
  assertEquals(parseOpenAIUNetConfig(byFlags.values, "model"), adm);
  const byName = describeUNet(weights, undefined, "64x64_diffusion");
  assertEquals(byName.values, byFlags.values);
  assertEquals(byName.given.noise_schedule, "cosine");
  assertEquals(parseArguments(FLAGS).ignored, ["dropout", "use_fp16"]);
});

Deno.test("describeUNet() knows the upsampler, and levels that it is not told", async () => {
  const config: OpenAIUNetConfig = {
    ...adm,
    image_size: 256,
    num_res_blocks: 2,
    attention_resolutions: [8, 16, 32],
    channel_mult: [1, 1, 2, 2, 4, 4],
    use_new_attention_order: false,
    num_heads: 4,
    num_head_channels: -1,
    small_size: 64,
  };
  const weights = await unetShapes(config, 6);
  const { kind, values } = describeUNet(weights, undefined, "64_256_upsampler");
  assertEquals(kind, "SuperResModel");
  assertEquals(parseOpenAIUNetConfig(values, "model"), config);
  const wrong = said("--large_size 512 --noise_schedule linear --num_heads 4");
  assertThrows(
    () => describeUNet(weights, wrong, "other"),
    TypeError,
    "--large_size 512 makes channel_mult 0.5,1,1,2,2,4,4, its weights say 1,1,2,2,4,4",
  );
});

Deno.test("describeUNet() names a flag that says something else than the weights", async () => {
  const weights = await unetShapes(adm);
  const cases: [string, string][] = [
    ["--num_channels 128", "--num_channels is 128, its weights say 192"],
    ["--num_res_blocks 2", "its blocks come in 3 a level, not in 2"],
    ["--channel_mult 1,1,2,2", "--channel_mult is 1,1,2,2, its weights say 1,2,3,4"],
    ["--image_size 128", "--image_size 128 makes channel_mult 1,1,2,3,4"],
    ["--class_cond False", "--class_cond is false, its weights say true"],
    ["--learn_sigma False", "--learn_sigma is false"],
    ["--use_scale_shift_norm False", "--use_scale_shift_norm is false"],
    ["--resblock_updown False", "--resblock_updown is false"],
    ["--attention_resolutions 32,16", "its weights have attention at 32,16,8"],
  ];
  for (const [flag, reason] of cases) {
    const flags = `--noise_schedule cosine --num_head_channels 64 ${flag}`;
    assertThrows(() => describeUNet(weights, said(flags), "model"), TypeError, reason);
  }
  const half = said("--noise_schedule cosine");
  assertThrows(() => describeUNet(weights, half, "model"), TypeError, "--num_head_channels N");
  // What no weights say, of a model that is known
  const published: [string, string][] = [
    ["--noise_schedule linear", "--noise_schedule is linear, the 64x64_diffusion that OpenAI"],
    ["--num_head_channels 32", "--num_head_channels is 32, the 64x64_diffusion that OpenAI"],
    ["--use_new_attention_order False", "--use_new_attention_order is false"],
  ];
  for (const [flag, reason] of published) {
    assertThrows(() => describeUNet(weights, said(flag), "64x64_diffusion"), TypeError, reason);
  }
});

Deno.test("describeUNet() and describeClassifier() find the networks of the fixtures", async () => {
  for (const name of ["legacy-pt", "neworder", "convresample"]) {
    const path = `${folderOf(`openai-unet-${name}`)}/config.json`;
    const config = parseOpenAIUNetConfig(readJson(path), path);
    const { num_heads: heads, num_head_channels: size } = config;
    const given = {
      image_size: 8,
      noise_schedule: "linear",
      num_heads: heads,
      num_head_channels: size,
      use_new_attention_order: config.use_new_attention_order,
    } as const;
    const { values } = describeUNet(await unetShapes(config), given, "model");
    assertEquals(parseOpenAIUNetConfig(values, path), config);
  }
  for (const pool of ["attention", "adaptive", "spatial"]) {
    const path = `${folderOf(`openai-classifier-${pool}`)}/config.json`;
    const config = parseEncoderUNetConfig(readJson(path), path);
    const values = describeClassifier(await classifierShapes(config), {}, 8);
    const fixed = { num_head_channels: 16, use_new_attention_order: pool === "adaptive" };
    const { resblock_updown } = config; // one level has none
    assertEquals(parseEncoderUNetConfig({ ...values, ...fixed, resblock_updown }, path), config);
  }
});

Deno.test("describeClassifier() finds OpenAI's classifiers, and a wrong flag", async () => {
  for (
    const [edge, depth, channel_mult] of [[64, 4, [1, 2, 3, 4]], [256, 2, [
      1,
      1,
      2,
      2,
      4,
      4,
    ]]] as const
  ) {
    const rates = [32, 16, 8].map((size) => edge / size).reverse();
    const config: EncoderUNetConfig = {
      ...encoderUNetDefaults,
      image_size: edge,
      num_res_blocks: depth,
      attention_resolutions: rates.sort((a, b) => a - b),
      channel_mult,
      num_head_channels: 64,
      use_scale_shift_norm: true,
      resblock_updown: true,
      pool: "attention",
    };
    const weights = await classifierShapes(config);
    const flags = "--classifier_attention_resolutions 32,16,8 --classifier_width 128";
    const values = describeClassifier(weights, said(flags), undefined);
    assertEquals(parseEncoderUNetConfig(values, "classifier"), config);
    const cases: [string, string][] = [
      ["--classifier_depth 1", `its blocks come in ${depth} a level, not in 1`],
      ["--classifier_width 64", "--classifier_width is 64, its weights say 128"],
      ["--classifier_pool adaptive", "--classifier_pool is adaptive, its weights say attention"],
      ["--classifier_attention_resolutions 16", "--classifier_attention_resolutions is"],
    ];
    for (const [flag, reason] of cases) {
      assertThrows(() => describeClassifier(weights, said(flag), undefined), TypeError, reason);
    }
    assertThrows(() => describeClassifier(weights, {}, 32), TypeError, "the model draws 32x32");
  }
});

Deno.test("parseArguments() refuses what no model has, and values of another kind", () => {
  const cases: [string, string][] = [
    ["--image_sise 64", "did you mean --image_size?"],
    ["--batch_size 4", "no model of guided-diffusion has such an argument"],
    ["--constructor 4", "no model of guided-diffusion has such an argument"],
    ["--image_size large", "it must be a whole number of at least 1"],
    ["--image_size", "they must be pairs"],
    ["image_size 64", "they must be pairs"],
    ["--class_cond maybe", "it must be True or False"],
    ["--noise_schedule quadratic", "it must be linear or cosine"],
    ["--channel_mult 1,,2", "it must be numbers between commas"],
    ["--num_head_channels 0", "it must be a whole number of at least 1, or -1"],
  ];
  for (const [text, reason] of cases) {
    assertThrows(() => parseArguments(text), RangeError, reason);
  }
  assertEquals(parseArguments('--channel_mult "" --image_size=64').given, { image_size: 64 });
  assertEquals(argumentsOf({ image_size: 64, channel_mult: [1, 2], class_cond: true }).given, {
    image_size: 64,
    channel_mult: [1, 2],
    class_cond: true,
  });
});
