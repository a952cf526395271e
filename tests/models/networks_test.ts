import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { drawLatents, parseAutoencoderKLConfig, posteriorOf } from "../../models/autoencoder_kl.ts";
import { clipText, parseClipTextConfig } from "../../models/clip_text.ts";
import { readJson } from "../../models/config.ts";
import { loadedParameters } from "../../models/parameters.ts";
import { type Scope, scopeOf } from "../../models/scope.ts";
import { parsePriorTransformerConfig } from "../../models/prior_transformer.ts";
import { parseUnClipTextProjConfig } from "../../models/unclip_text_proj.ts";
import { parseUNet2DConditionConfig } from "../../models/unet_2d_condition.ts";
import { parseVQModelConfig } from "../../models/vq_model.ts";
import { networkOf } from "../_networks.ts";
import { folderOf } from "../_parity.ts";

/** Runs with a fixture's parameters on the `cpu` backend. */
async function withScope(name: string, run: (scope: Scope) => void): Promise<void> {
  await tf.setBackend("cpu");
  const loaded = loadedParameters(networkOf(name).weights);
  tf.tidy(() => run(scopeOf(loaded)));
  loaded.dispose();
}

const DIFFERENTIATED = ["sd2", "sd-odd", "sd-upscaler", "unclip-decoder", "kl-attention"];

for (const name of DIFFERENTIATED) {
  Deno.test(`networks have the slopes of finite differences: ${name}`, () =>
    withScope(`networks/${name}`, (scope) => {
      const { computation, inputs } = networkOf(`networks/${name}`);
      const [x, ...rest] = inputs();
      const loss = (x: tf.Tensor): tf.Scalar => {
        const [first] = computation(scope, x, ...rest);
        return tf.sum(tf.square(first!));
      };
      const slope = tf.grad(loss)(x!);
      const direction = tf.div(slope, tf.norm(slope));
      const step = 0.02;
      const at = (moved: number) => loss(tf.add(x!, tf.mul(direction, moved))).dataSync()[0]!;
      const measured = (at(step) - at(-step)) / (2 * step);
      const length = tf.norm(slope).dataSync()[0]!;
      assert(length > 0);
      assertAlmostEquals(measured / length, 1, 0.01);
    }));
}

Deno.test("posteriorOf() keeps variances finite, drawLatents() scales noise by their roots", () => {
  const moments = tf.tensor4d([1, 2, 3, -100, 100, 2 * Math.log(3)], [1, 1, 1, 6]);
  const posterior = posteriorOf(moments);
  assertEquals([...posterior.mean.dataSync()], [1, 2, 3]);
  assertEquals([...posterior.logvar.dataSync()].slice(0, 2), [-30, 20]);
  const drawn = drawLatents(posterior, tf.ones([1, 1, 1, 3])).dataSync();
  assertAlmostEquals(drawn[0]!, 1 + Math.exp(-15), 1e-6);
  assertAlmostEquals(drawn[2]!, 3 + 3, 1e-5);
});

Deno.test("clipText() leaves layers out before the final norm, and refuses to skip all", async () => {
  const path = `${folderOf("networks/clip-deep")}/config.json`;
  const config = parseClipTextConfig(readJson(path), path);
  const ids = tf.tensor2d([[38, 4, 39, 39]], undefined, "int32");
  await withScope("networks/clip-deep", (scope) => {
    const { states } = clipText(scope, config, ids);
    const same = (a: tf.Tensor, b: tf.Tensor) => assertEquals([...a.dataSync()], [...b.dataSync()]);
    const short = { ...config, num_hidden_layers: 3 };
    same(clipText(scope, config, ids, 1).last, clipText(scope, short, ids).last);
    same(clipText(scope, short, ids).states.at(-1)!, states.at(-2)!);
    assertThrows(() => clipText(scope, config, ids, 4), RangeError, "from 0 to 3");
    const long = tf.zeros<tf.Rank.R2>([1, 12], "int32");
    assertThrows(() => clipText(scope, config, long), RangeError, "takes 11");
  });
});

const REFUSED: readonly [
  parse: (values: Record<string, unknown>, path: string) => unknown,
  values: Record<string, unknown>,
  reason: string,
][] = [
  [
    parseUNet2DConditionConfig,
    { dual_cross_attention: true },
    "must be false, as no other is known",
  ],
  [parseUNet2DConditionConfig, { attention_head_dim: [8, 8] }, "has 2 values, there must be 4"],
  [
    parseUNet2DConditionConfig,
    { attention_head_dim: 7 },
    "attention_head_dim (7) does not divide 320",
  ],
  [parseUNet2DConditionConfig, { norm_num_groups: 48 }, "norm_num_groups (48) does not divide 320"],
  [
    parseUNet2DConditionConfig,
    { block_out_channels: [320] },
    "it has 1 block_out_channels, 4 down",
  ],
  [parseUNet2DConditionConfig, { class_embed_type: "projection" }, "needs projection_class_embed"],
  [parseUNet2DConditionConfig, { encoder_hid_dim_type: "text_proj" }, "needs encoder_hid_dim"],
  [parseUNet2DConditionConfig, { layers_per_block: "2" }, "or a list, each an integer"],
  [parseAutoencoderKLConfig, { down_block_types: ["DownBlock2D"] }, "one of DownEncoderBlock2D"],
  [parseAutoencoderKLConfig, { block_out_channels: [64, 64] }, "it has 2 block_out_channels"],
  [parseVQModelConfig, { norm_num_groups: 48 }, "norm_num_groups (48) does not divide 64"],
  [parseVQModelConfig, { norm_type: "spatial" }, "it must be one of group"],
  [parseClipTextConfig, { num_attention_heads: 7 }, "num_attention_heads (7) does not divide"],
  [parsePriorTransformerConfig, { norm_in_type: "layer" }, "must be null, as no other is known"],
  [parseUnClipTextProjConfig, { time_embed_dim: 4 }, "cross_attention_dim is 0"],
];

Deno.test("configurations of networks are refused with the key and what it must be", () => {
  for (const [parse, values, reason] of REFUSED) {
    const { message } = assertThrows(() => parse(values, "a/config.json"), TypeError, reason);
    assert(message.startsWith('Cannot use "a/config.json": '), message);
  }
});
