/**
 * The diffusion networks of guided-diffusion (Dhariwal and Nichol 2021, sections 3 and 4.2):
 * OpenAI's `UNetModel` and `SuperResModel`, with their constructor arguments and tensor names.
 *
 * @module
 */
import * as tf from "tfjs";
import { checkConfig, type Field, optional } from "./config.ts";
import { conv, embedding, groupNorm, silu, upsample } from "./layers.ts";
import {
  attendsAt,
  embedTime,
  EPS,
  findMisfit,
  firstHalf,
  GROUPS,
  type OpenAIConfig,
  openaiDefaults,
  openaiFields,
  residual,
  selfAttention,
  widthsOf,
} from "./openai_blocks.ts";
import type { Scope } from "./scope.ts";

/** A `config.json` of class `UNetModel` or `SuperResModel`. */
export interface OpenAIUNetConfig extends OpenAIConfig {
  /** Null where the network is not class-conditional. */
  readonly num_classes: number | null;
  /** Heads in the second half; -1 takes `num_heads`. */
  readonly num_heads_upsample: number;
  /** Edge of the images that a `SuperResModel` enlarges; null where any is as good. */
  readonly small_size: number | null;
}

const defaults: OpenAIUNetConfig = {
  ...openaiDefaults,
  out_channels: 3,
  num_classes: null,
  num_heads_upsample: -1,
  small_size: null,
};

const fields: { readonly [K in keyof OpenAIUNetConfig]: Field } = {
  ...openaiFields,
  num_classes: optional("count"),
  num_heads_upsample: "integer",
  small_size: optional("count"),
};

/**
 * The checked configuration of a `config.json`.
 *
 * @param path names the file in messages.
 * @throws {TypeError} Where a value is of the wrong kind.
 */
export function parseOpenAIUNetConfig(
  values: Readonly<Record<string, unknown>>,
  path: string,
): OpenAIUNetConfig {
  return checkConfig(
    values,
    fields,
    defaults,
    path,
    (config) => findMisfit(config) ?? findMisfit(secondHalf(config)),
  );
}

/** The configuration of the blocks of the second half, which may have other heads. */
function secondHalf(config: OpenAIUNetConfig): OpenAIUNetConfig {
  const { num_heads_upsample: heads } = config;
  return heads === -1 ? config : { ...config, num_heads: heads };
}

/** The images that a `SuperResModel` enlarges, behind x and as large as it. */
export function besideLowRes(x: tf.Tensor4D, lowRes: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = x.shape;
  return tf.concat([x, tf.image.resizeBilinear(lowRes, [height, width], false, true)], 3);
}

/**
 * The network's raw answer at x. A `SuperResModel` is the same network: the images that it makes
 * larger stand behind x, resized to it.
 *
 * @param x `[batch, height, width, in_channels]`, or twice the channels for a `SuperResModel`;
 * height and width divisible by two to the number of levels less one.
 * @param t `[batch]` float32, the training timesteps that x is at.
 * @param labels `[batch]` int32, where the network is class-conditional.
 * @returns `[batch, height, width, out_channels]`.
 */
export function openaiUNet(
  scope: Scope,
  config: OpenAIUNetConfig,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: tf.Tensor1D,
): tf.Tensor4D {
  const { model_channels: base, num_classes: classes, num_res_blocks: layers } = config;
  const widths = widthsOf(config);
  let vector = embedTime(scope, base, t);
  if (classes !== null) {
    if (labels === undefined) throw new TypeError("Cannot run this UNet without class labels");
    vector = tf.add(vector, embedding(scope.at("label_emb"), labels, classes, 4 * base));
  }
  const time = silu(vector);
  const { maps, middle } = firstHalf(scope, config, x, time);
  const upper = secondHalf(config);
  let h = middle;
  let index = 0;
  for (const [level, width] of [...widths.entries()].toReversed()) {
    for (let layer = 0; layer <= layers; layer++) {
      const block = scope.at("output_blocks", index++);
      const skip = maps.pop();
      if (skip === undefined) {
        throw new Error("The second half of the UNet is longer than its first");
      }
      h = residual(block.at(0), upper, tf.concat([h, skip], 3), time, width);
      const attends = attendsAt(config, level);
      if (attends) h = selfAttention(block.at(1), upper, h);
      if (level === 0 || layer < layers) continue;
      const part = block.at(attends ? 2 : 1);
      h = config.resblock_updown
        ? residual(part, upper, h, time, width, "up")
        : config.conv_resample
        ? conv(part.at("conv"), upsample(h), width)
        : upsample(h);
    }
  }
  h = silu(groupNorm(scope.at("out", 0), h, GROUPS, EPS));
  return conv(scope.at("out", 2), h, config.out_channels, { zero: true });
}
