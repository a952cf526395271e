/**
 * unCLIP (Ramesh et al. 2022): a prior draws CLIP's embedding of an image by a text, a decoder draws a
 * small image by both, and two networks enlarge it. The decoder is the model's network; this module is
 * what stands around it, in the layout of diffusers' `UnCLIPPipeline`.
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import { readJson } from "../models/config.ts";
import {
  embeddingOf,
  parsePriorTransformerConfig,
  priorTransformer,
  type PriorTransformerConfig,
} from "../models/prior_transformer.ts";
import {
  parseUnClipTextProjConfig,
  unClipTextProj,
  type UnClipTextProjConfig,
} from "../models/unclip_text_proj.ts";
import type { Weights } from "../models/weights.ts";
import { type ImageNoise, resumeImageNoise } from "../noise/mod.ts";
import type { Images } from "../plugin.ts";
import type { SchedulerConfig } from "../schedules/mod.ts";
import type { Drawing } from "./codec.ts";
import { type CfgBatch, type Conditions, type Denoiser, guidedPredict } from "./denoiser.ts";
import { isThere } from "./files.ts";
import type { Part, Recommended } from "./model.ts";
import { parameterization } from "./prediction.ts";
import { run } from "./run.ts";
import { openSuperResolution, type SuperResolution } from "./super_resolution.ts";
import { type Embeddings, type TextEncoder, toldByClass } from "./text.ts";
import type { UNet } from "./unet.ts";

/** The parts of unCLIP around its decoder. */
export interface UnClip {
  /** Draws embeddings of images. */
  readonly prior: Part<PriorTransformerConfig> & { readonly scheduler: SchedulerConfig };
  /** Makes what the decoder is told of embeddings. */
  readonly projection: Part<UnClipTextProjConfig>;
  readonly superResolution: SuperResolution;
}

/** How diffusers draws where nobody says. */
export const UNCLIP_DEFAULTS = {
  priorSteps: 25,
  priorScale: 4,
  superResSteps: 7,
  decoder: { steps: 25, guidance: ["cfg,scale=8"] } satisfies Recommended,
} as const;

const FOLDERS = [
  "prior",
  "prior_scheduler",
  "text_encoder",
  "tokenizer",
  "text_proj",
  "decoder_scheduler",
  "super_res_first",
  "super_res_last",
  "super_res_scheduler",
];

/**
 * Opens what stands around a decoder.
 *
 * @throws {Deno.errors.NotFound} Where a part is missing.
 * @throws {TypeError} Where a part does not fit the others.
 */
export function openUnClip(
  folder: string,
  { unet, text }: { readonly unet: UNet; readonly text: TextEncoder | undefined },
  weightsOf: (folder: string) => Weights,
): UnClip {
  const part = <C>(name: string, parse: (values: Record<string, unknown>, path: string) => C) => {
    const own = join(folder, name);
    const path = join(own, "config.json");
    return { folder: own, config: parse(readJson(path), path), weights: weightsOf(own) };
  };
  const prior = part("prior", parsePriorTransformerConfig);
  const projection = part("text_proj", parseUnClipTextProjConfig);
  const scheduler = readJson(join(folder, "prior_scheduler", "scheduler_config.json"));
  const superResolution = openSuperResolution(folder, unet, weightsOf);
  checkSizes({ prior, projection, text });
  return { prior: { ...prior, scheduler }, projection, superResolution };
}

/**
 * Refuses a folder with a decoder and not all that goes with it.
 *
 * @throws {Deno.errors.NotFound} Which names what is missing.
 */
export function checkParts(folder: string, pipeline: unknown): void {
  const missing = FOLDERS.find((name) => !isThere(join(folder, name)));
  if (missing === undefined) return;
  throw new Deno.errors.NotFound(
    `Cannot use "${folder}": it has a decoder/ and no ${missing}/` +
      `${
        typeof pipeline === "string" && pipeline !== "UnCLIPPipeline"
          ? `; of such pipelines only UnCLIPPipeline is known, this is ${pipeline}`
          : ""
      }`,
  );
}

/**
 * A decoder that names what this model tells it, for who looks at it by itself: tokens of the image
 * before those of the text, and which of them count.
 */
export function toldDecoder(unet: UNet, { projection }: UnClip, text: TextEncoder): UNet {
  const tokens = projection.config.clip_extra_context_tokens + text.tokenizer.length;
  const more = unet.more.map((input) =>
    input.name === "encoder_hidden_states"
      ? { ...input, shape: [tokens, ...input.shape.slice(1)] }
      : input
  );
  return {
    ...unet,
    more: [...more, { name: "attention_mask", shape: [tokens], dtype: "float32" }],
  };
}

/** Refuses parts that speak of embeddings of several sizes. */
function checkSizes(
  { prior, projection, text }: Pick<UnClip, "projection"> & {
    readonly prior: Part<PriorTransformerConfig>;
    readonly text: TextEncoder | undefined;
  },
): void {
  if (!text?.weights.has("text_projection.weight")) {
    throw new TypeError(
      `Cannot use "${text?.folder}": unCLIP needs a CLIPTextModelWithProjection, and it has no text_projection.weight`,
    );
  }
  const size = prior.config.embedding_dim;
  const others = {
    "text_proj's clip_embeddings_dim": projection.config.clip_embeddings_dim,
    "text_encoder's hidden_size": text.config.hidden_size,
    "text_encoder's projection_dim": text.config.projection_dim,
    "the prior's clip_embed_dim": prior.config.clip_embed_dim ?? size,
  };
  for (const [name, own] of Object.entries(others)) {
    if (own === size) continue;
    throw new TypeError(
      `Cannot use "${prior.folder}": embeddings have its embedding_dim (${size}), and ${name} is ${own}`,
    );
  }
}

/** A batch whose network is told an embedding of each image. */
export interface Told {
  readonly denoiser: Denoiser;
  /** Continues behind what was drawn here. */
  readonly noise: ImageNoise;
  /** CLIP's embeddings of the images, `[batch, size]`; the caller disposes them. */
  readonly embeddings: tf.Tensor2D;
}

/** Draws what the network is told of the images of a batch, before x. */
export type Before = (
  denoiser: Denoiser,
  conditions: Conditions,
  drawing: Drawing,
) => Promise<Told>;

/** A prior on an engine. */
export interface Prior {
  /** @param texts Of a model's classes; they stay the caller's. */
  askedBy(texts: Embeddings): Before;
  /** Frees what it computes with; a later batch loads it again. */
  release(): Promise<void>;
}

/** Puts the parts before a decoder on an engine. An embedding is drawn as an image of one pixel. */
export function loadPrior(
  { prior, projection }: UnClip,
  engine: Engine,
  cfgBatch: CfgBatch | undefined,
): Prior {
  const { config, weights, scheduler } = prior;
  const size = config.embedding_dim;
  const flat = (x: tf.Tensor): tf.Tensor2D => tf.reshape(x, [x.shape[0] ?? 0, size]);
  const network: Compiled = engine.compile((scope, ...inputs) => {
    const [x, t, text, pooled, mask] = inputs as [
      Images,
      tf.Tensor1D,
      tf.Tensor3D,
      tf.Tensor2D,
      tf.Tensor2D,
    ];
    const answer = priorTransformer(scope, config, flat(x), t, { text, pooled, mask });
    return [tf.reshape(answer, x.shape)];
  }, weights);
  const finish = engine.compile(
    (scope, x) => [embeddingOf(scope, config, flat(x as Images))],
    weights,
  );
  const project = engine.compile((scope, ...inputs) => {
    const [image, known, states, pooled, mask] = inputs as [
      tf.Tensor2D,
      tf.Tensor1D,
      tf.Tensor3D,
      tf.Tensor2D,
      tf.Tensor2D,
    ];
    const { config } = projection;
    const { text, labels } = unClipTextProj(scope, config, image, known, pooled, states);
    const all = tf.ones([mask.shape[0], config.clip_extra_context_tokens]);
    return [text, labels, tf.concat([all, mask], 1)];
  }, projection.weights);
  return {
    askedBy({ states, pooled, mask }) {
      if (pooled === undefined) throw new TypeError("Cannot ask a prior by texts without a vector");
      const textsOf = (labels: tf.Tensor1D) =>
        [states, pooled, mask].map((rows) => tf.gather(rows as tf.Tensor, labels));
      return async (denoiser, conditions, { noise, plan: { around }, signal, onStep }) => {
        if (around === undefined) throw new TypeError("Cannot ask a prior without a plan of it");
        const { model } = denoiser;
        const { sampler, guidances, levels: path, process } = around.prior;
        const own = resumeImageNoise(noise.state(), [1, 1, size]);
        const asked = {
          model,
          cfgBatch,
          parameterization: parameterization(scheduler, false),
          ...toldByClass({ network }, textsOf),
        };
        const takesShift = sampler.plugin.takesShift === true;
        const predict = guidedPredict(asked, conditions, guidances, takesShift);
        const x = await run({ sampler, path, process, predict, noise: own, signal, onStep });
        const [embeddings] = await finish(x).finally(() => x.dispose()) as [tf.Tensor2D];
        const told = (labels: tf.Tensor1D) => {
          const known = tf.notEqual(labels, model.nullClass ?? -1).toFloat();
          const images = tf.tile(embeddings, [labels.size / embeddings.shape[0], 1]);
          return project(images, known, ...textsOf(labels));
        };
        const [, height, width, channels] = noise.shape;
        return {
          denoiser: { ...denoiser, ...toldByClass(denoiser, told), other: undefined },
          noise: resumeImageNoise(own.state(), [height, width, channels]),
          embeddings,
        };
      };
    },
    async release() {
      for (const compiled of [network, finish]) await compiled.release?.();
    },
  };
}
