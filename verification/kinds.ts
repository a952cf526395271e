/**
 * Networks as `verify` runs them: which of the tensors in `expected.safetensors` they take, and which
 * they give.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Computation } from "../engines/engine.ts";
import {
  decodeLatents,
  drawLatents,
  encodeMoments,
  parseAutoencoderKLConfig,
  posteriorOf,
} from "../models/autoencoder_kl.ts";
import { clipText, parseClipTextConfig } from "../models/clip_text.ts";
import { classifierGradient, encoderUNet, parseEncoderUNetConfig } from "../models/encoder_unet.ts";
import { besideLowRes, openaiUNet, parseOpenAIUNetConfig } from "../models/openai_unet.ts";
import { parsePriorTransformerConfig, priorTransformer } from "../models/prior_transformer.ts";
import type { Scope } from "../models/scope.ts";
import { parseUNet2DConfig, unet2d } from "../models/unet_2d.ts";
import { parseUNet2DConditionConfig, unet2dCondition } from "../models/unet_2d_condition.ts";
import { decodeVQ, encodeVQ, parseVQModelConfig, quantize } from "../models/vq_model.ts";

/** One computation of a network. Images are NHWC within and NCHW in the file. */
export interface Check {
  /** Names of the tensors that it takes, in its order. */
  readonly inputs: readonly string[];
  /** Names of those that it gives, in its order. */
  readonly outputs: readonly string[];
  readonly computation: Computation;
}

/** A class of networks: its configuration as its checks. */
export type Kind = (config: Readonly<Record<string, unknown>>, path: string) => readonly Check[];

/** A check; its inputs are those of the file, which a computation of any number cannot type. */
function check<I extends (tf.Tensor | undefined)[]>(
  inputs: readonly string[],
  outputs: readonly string[],
  compute: (scope: Scope, ...inputs: I) => tf.Tensor[],
): Check {
  return { inputs, outputs, computation: (scope, ...given) => compute(scope, ...given as I) };
}

/** The check of a network of images, timesteps and classes. */
function unet(
  labelled: boolean,
  output: string,
  answer: (scope: Scope, x: tf.Tensor4D, t: tf.Tensor1D, labels?: tf.Tensor1D) => tf.Tensor,
): readonly Check[] {
  const inputs = ["x", "t", ...labelled ? ["class_labels"] : []];
  type Inputs = [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D | undefined];
  return [check(inputs, [output], (scope, ...given: Inputs) => [answer(scope, ...given)])];
}

/** The kinds by the class in `config.json`: diffusers' `_class_name`, OpenAI's `_class`. */
export const KINDS: Readonly<Record<string, Kind>> = {
  UNet2DModel(values, path) {
    const config = parseUNet2DConfig(values, path);
    const labelled = config.num_class_embeds !== null || config.class_embed_type !== null;
    return unet(labelled, "y", (scope, x, t, labels) => unet2d(scope, config, x, t, labels));
  },
  UNetModel(values, path) {
    const config = parseOpenAIUNetConfig(values, path);
    const labelled = config.num_classes !== null;
    return unet(labelled, "out", (scope, x, t, labels) => openaiUNet(scope, config, x, t, labels));
  },
  SuperResModel(values, path) {
    const config = parseOpenAIUNetConfig(values, path);
    return [
      check(
        ["x", "t", "low_res", ...config.num_classes === null ? [] : ["class_labels"]],
        ["out"],
        (scope, x: tf.Tensor4D, t: tf.Tensor1D, low: tf.Tensor4D, labels?: tf.Tensor1D) => [
          openaiUNet(scope, config, besideLowRes(x, low), t, labels),
        ],
      ),
    ];
  },
  EncoderUNetModel(values, path) {
    const config = parseEncoderUNetConfig(values, path);
    return [
      check(["x", "t"], ["logits"], (scope, x: tf.Tensor4D, t: tf.Tensor1D) => [
        encoderUNet(scope, config, x, t),
      ]),
      check(
        ["x", "t", "class_labels"],
        ["log_prob", "grad_x"],
        (scope, x: tf.Tensor4D, t: tf.Tensor1D, labels: tf.Tensor1D) => {
          const logits = encoderUNet(scope, config, x, t);
          const chosen = tf.oneHot(labels, logits.shape[1] ?? 0);
          return [
            tf.sum(tf.mul(tf.logSoftmax(logits), chosen), 1),
            classifierGradient(scope, config, x, t, labels),
          ];
        },
      ),
    ];
  },
  UNet2DConditionModel(values, path) {
    const config = parseUNet2DConditionConfig(values, path);
    const labelled = config.class_embed_type !== null || config.num_class_embeds !== null;
    return [
      check(
        ["x", "t", "encoder_hidden_states", ...labelled ? ["class_labels"] : []],
        ["y"],
        (scope, x: tf.Tensor4D, t: tf.Tensor1D, text: tf.Tensor3D, labels?: tf.Tensor1D) => [
          unet2dCondition(scope, config, x, t, { text, labels }),
        ],
      ),
    ];
  },
  AutoencoderKL(values, path) {
    const config = parseAutoencoderKLConfig(values, path);
    return [
      check(["image"], ["moments", "mean", "logvar"], (scope, image: tf.Tensor4D) => {
        const moments = encodeMoments(scope, config, image);
        const { mean, logvar } = posteriorOf(moments);
        return [moments, mean, logvar];
      }),
      check(["image", "noise"], ["sample"], (scope, image: tf.Tensor4D, noise: tf.Tensor4D) => [
        drawLatents(posteriorOf(encodeMoments(scope, config, image)), noise),
      ]),
      check(["latent"], ["decoded"], (scope, latent: tf.Tensor4D) => [
        decodeLatents(scope, config, latent),
      ]),
    ];
  },
  VQModel(values, path) {
    const config = parseVQModelConfig(values, path);
    return [
      check(["image"], ["latents"], (scope, image: tf.Tensor4D) => [
        encodeVQ(scope, config, image),
      ]),
      check(["latents"], ["indices", "quantized"], (scope, latents: tf.Tensor4D) => {
        const { indices, quantized } = quantize(scope, config, latents);
        return [indices, quantized];
      }),
      check(
        ["latents"],
        ["decoded", "decoded_not_quantized"],
        (scope, latents: tf.Tensor4D) => [
          decodeVQ(scope, config, latents),
          decodeVQ(scope, config, latents, false),
        ],
      ),
    ];
  },
  PriorTransformer(values, path) {
    const config = parsePriorTransformerConfig(values, path);
    type Inputs = [tf.Tensor2D, tf.Tensor1D, tf.Tensor2D, tf.Tensor3D, tf.Tensor2D];
    return [
      check(
        ["hidden_states", "timestep", "proj_embedding", "encoder_hidden_states", "attention_mask"],
        ["predicted_image_embedding"],
        (scope, ...[x, t, pooled, text, mask]: Inputs) => [
          priorTransformer(scope, config, x, t, { pooled, text, mask: mask.toFloat() }),
        ],
      ),
    ];
  },
  CLIPTextModel: clip,
  CLIPTextModelWithProjection: clip,
};

function clip(values: Readonly<Record<string, unknown>>, path: string): readonly Check[] {
  const config = parseClipTextConfig(values, path);
  const projects = classOf(values) === "CLIPTextModelWithProjection";
  return [
    check(
      ["input_ids"],
      ["last_hidden_state", "pooled", "penultimate", ...projects ? ["text_embeds"] : []],
      (scope, ids: tf.Tensor2D) => {
        const { states, last, pooled, projected } = clipText(scope, config, ids);
        const penultimate = states.at(-2) ?? last;
        return [last, pooled, penultimate, ...projects && projected ? [projected] : []];
      },
    ),
  ];
}

/** The class of a configuration. */
export function classOf(config: Readonly<Record<string, unknown>>): string {
  const { _class_name: name, _class: own, architectures } = config;
  const [first] = Array.isArray(architectures) ? architectures : [];
  return String(name ?? own ?? first ?? "unknown");
}
