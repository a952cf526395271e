/**
 * Networks of latent and text-conditional diffusion with what diffusers and transformers gave for
 * them: a fixture's folder to a computation of all its outputs.
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
import { readJson } from "../models/config.ts";
import {
  embeddingOf,
  parsePriorTransformerConfig,
  priorTransformer,
} from "../models/prior_transformer.ts";
import { readSafetensors } from "../models/safetensors.ts";
import { parseUnClipTextProjConfig, unClipTextProj } from "../models/unclip_text_proj.ts";
import { parseUNet2DConfig, unet2d } from "../models/unet_2d.ts";
import { parseUNet2DConditionConfig, unet2dCondition } from "../models/unet_2d_condition.ts";
import { decodeVQ, encodeVQ, parseVQModelConfig, quantize } from "../models/vq_model.ts";
import { folderOf, images, integers, type Parity } from "./_parity.ts";
import { type FixtureTensor, readFixture } from "./_safetensors.ts";

/** The inputs of a computation by the names that the fixture has for them. */
type Named = Readonly<Record<string, tf.Tensor>>;

/** A kind of network: its inputs, and its outputs by the names of the fixture. */
interface Kind {
  /** Inputs; those that a fixture lacks are left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  build(
    values: Readonly<Record<string, unknown>>,
    path: string,
  ): (scope: Parameters<Computation>[0], given: Named) => tf.Tensor[];
}

// Casts of what a fixture's inputs are known to be, which `Named` cannot say.
const four = (tensor: tf.Tensor | undefined) => tensor as tf.Tensor4D;
const three = (tensor: tf.Tensor | undefined) => tensor as tf.Tensor3D;
const two = (tensor: tf.Tensor | undefined) => tensor as tf.Tensor2D;
const one = (tensor: tf.Tensor | undefined) => tensor as tf.Tensor1D;

const clip = (projects: boolean): Kind => ({
  inputs: ["input_ids"],
  outputs: ["last_hidden_state", "penultimate", "pooled", ...projects ? ["text_embeds"] : []],
  build(values, path) {
    const config = parseClipTextConfig(values, path);
    return (scope, given) => {
      const { states, last, pooled, projected } = clipText(scope, config, two(given.input_ids));
      const penultimate = three(states.at(-2));
      return [last, penultimate, pooled, ...projected === undefined ? [] : [projected]];
    };
  },
});

/** Kinds by the names of their classes. */
const KINDS: Readonly<Record<string, Kind>> = {
  AutoencoderKL: {
    inputs: ["image", "latent", "noise"],
    outputs: ["moments", "mean", "logvar", "sample", "decoded"],
    build(values, path) {
      const config = parseAutoencoderKLConfig(values, path);
      return (scope, { image, latent, noise }) => {
        const moments = encodeMoments(scope, config, four(image));
        const posterior = posteriorOf(moments);
        const { mean, logvar } = posterior;
        const sample = drawLatents(posterior, four(noise));
        return [moments, mean, logvar, sample, decodeLatents(scope, config, four(latent))];
      };
    },
  },
  VQModel: {
    inputs: ["image", "latents"],
    outputs: ["latents", "indices", "quantized", "decoded", "decoded_not_quantized"],
    build(values, path) {
      const config = parseVQModelConfig(values, path);
      return (scope, { image, latents }) => {
        const { indices, quantized } = quantize(scope, config, four(latents));
        const [decoded, direct] = [true, false].map((quantizes) =>
          decodeVQ(scope, config, four(latents), quantizes)
        );
        return [
          encodeVQ(scope, config, four(image)),
          indices,
          quantized,
          four(decoded),
          four(direct),
        ];
      };
    },
  },
  CLIPTextModel: clip(false),
  CLIPTextModelWithProjection: clip(true),
  UNet2DModel: {
    inputs: ["x", "t", "class_labels"],
    outputs: ["y"],
    build(values, path) {
      const config = parseUNet2DConfig(values, path);
      return (scope, { x, t, class_labels: labels }) => [
        unet2d(scope, config, four(x), one(t), labels && one(labels)),
      ];
    },
  },
  UNet2DConditionModel: {
    inputs: ["x", "t", "encoder_hidden_states", "class_labels", "mask", "text_embeds", "time_ids"],
    outputs: ["y"],
    build(values, path) {
      const config = parseUNet2DConditionConfig(values, path);
      return (scope, given) => [
        unet2dCondition(scope, config, four(given.x), one(given.t), {
          text: three(given.encoder_hidden_states),
          labels: given.class_labels && one(given.class_labels),
          mask: given.mask && two(given.mask),
          pooled: given.text_embeds && two(given.text_embeds),
          numbers: given.time_ids && two(given.time_ids),
        }),
      ];
    },
  },
  PriorTransformer: {
    inputs: ["x", "t", "pooled", "text", "mask"],
    outputs: ["y", "unmasked", "embedding"],
    build(values, path) {
      const config = parsePriorTransformerConfig(values, path);
      return (scope, given) => {
        const [x, t] = [two(given.x), one(given.t)];
        const conditions = { pooled: two(given.pooled), text: three(given.text) };
        const mask = two(given.mask);
        const y = priorTransformer(scope, config, x, t, { ...conditions, mask });
        const unmasked = priorTransformer(scope, config, x, t, conditions);
        return [y, unmasked, embeddingOf(scope, config, y)];
      };
    },
  },
  UnCLIPTextProjModel: {
    inputs: ["image", "pooled", "text"],
    outputs: ["context", "labels"],
    build(values, path) {
      const config = parseUnClipTextProjConfig(values, path);
      return (scope, given) => {
        // The fixture has one batch: the unconditional half before the conditional one.
        const images = tf.tile(two(given.image), [2, 1]);
        const texts = [two(given.pooled), three(given.text)] as const;
        const { text, labels } = unClipTextProj(
          scope,
          config,
          images,
          tf.tensor1d([0, 1]),
          ...texts,
        );
        return [text, labels];
      };
    },
  },
};

/** Names of the fixtures below. */
export const NETWORKS: readonly string[] = [
  "unet2dcondition-sd15",
  "vae-kl",
  "vae-vq",
  "clip-text-sd15",
  "clip-text-gelu",
  ...[...Deno.readDirSync(folderOf("networks"))].filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => `networks/${name}`).sort(),
];

const WEIGHTS = ["diffusion_pytorch_model.safetensors", "model.safetensors"];

/** A network of a fixture, of any kind. */
export function networkOf(name: string): Parity {
  const folder = folderOf(name);
  const path = `${folder}/config.json`;
  const values = readJson(path);
  const [architecture] = [values["architectures"] ?? []].flat();
  const kind = KINDS[String(values["_class_name"] ?? architecture)];
  if (kind === undefined) throw new Error(`Cannot test "${path}": its class is not known`);
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
  const file = WEIGHTS.find((file) => files.includes(file)) ?? "";
  const expected = readFixture(`${name}/expected.safetensors`);
  const given = kind.inputs.filter((input) => expected.has(input));
  const run = kind.build(values, path);
  return {
    weights: readSafetensors(`${folder}/${file}`).tensors,
    computation: (scope, ...tensors) =>
      run(scope, Object.fromEntries(given.map((input, index) => [input, tensors[index]!]))),
    inputs: () => given.map((input) => tensorOf(expected(input))),
    expected: kind.outputs.map(expected),
  };
}

/** An input by its form: images of rank 4, indices as integers. */
function tensorOf(tensor: FixtureTensor): tf.Tensor {
  if (tensor.shape.length === 4) return images(tensor);
  return tensor.dtype === "I64" ? integers(tensor) : tf.tensor(
    Float32Array.from(tensor.data),
    [...tensor.shape],
  );
}
