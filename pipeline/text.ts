/**
 * Prompts. To samplers, guidances and settings a text is a class of the model, whose embedding the
 * text encoder makes, and the negative prompt is the null class: so whatever steers by classes
 * steers by texts, too.
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";
import { openTokenizer, type Tokenizer } from "../models/clip_tokenizer.ts";
import { clipText, type ClipTextConfig, parseClipTextConfig } from "../models/clip_text.ts";
import { readJson } from "../models/config.ts";
import type { Weights } from "../models/weights.ts";
import type { Denoiser, Networks } from "./denoiser.ts";
import type { Model } from "./model.ts";

/** What reads a model's prompts. */
export interface TextEncoder {
  readonly folder: string;
  readonly config: ClipTextConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
}

/** Opens the `text_encoder/` and `tokenizer/` of a model, see {@linkcode textOf}. */
export function openText(model: string, weightsOf: (folder: string) => Weights): TextEncoder {
  const folder = join(model, "text_encoder");
  const path = join(folder, "config.json");
  const from = { folder, weights: weightsOf(folder), tokenizer: join(model, "tokenizer") };
  return textOf(readJson(path), path, from);
}

/**
 * A text encoder by its configuration.
 *
 * @param path names the configuration in messages.
 * @throws {TypeError} Where the class is not known, or a configuration does not fit.
 */
export function textOf(
  values: Readonly<Record<string, unknown>>,
  path: string,
  { folder, weights, tokenizer }: {
    readonly folder: string;
    readonly weights: Weights;
    /** A folder. */
    readonly tokenizer: string;
  },
): TextEncoder {
  const { architectures, model_type: type } = values;
  const [name = type] = Array.isArray(architectures) ? architectures : [];
  if (!/^(CLIPTextModel(WithProjection)?|clip_text_model)$/.test(String(name))) {
    throw new TypeError(
      `Cannot use "${path}": a text encoder of class ${name} is not known, only CLIPTextModel`,
    );
  }
  return {
    folder,
    config: parseClipTextConfig(values, path),
    // Older files hold the numbers 0, 1, 2, … of the places, too.
    weights: new Map([...weights].filter(([name]) => !name.endsWith("position_ids"))),
    tokenizer: openTokenizer(tokenizer),
  };
}

/** Texts as a model's classes. */
export interface Prompts {
  /** Each once, in the order of their first use. */
  readonly texts: readonly string[];
  /** What guidance leads away from. */
  readonly negative: string;
}

/** Texts as networks read them, each once and the negative one last; the caller disposes them. */
export interface Embeddings {
  /** The last states of their tokens, `[texts + 1, tokens, width]`. */
  readonly states: tf.Tensor3D;
  /** Each in the space of images, `[texts + 1, size]`, of encoders that project it there. */
  readonly pooled?: tf.Tensor2D | undefined;
  /** 1 for each token of a text and 0 for padding, `[texts + 1, tokens]`. */
  readonly mask: tf.Tensor2D;
}

/** The model to whom these texts are its classes, the negative one its null class. */
export function withPrompts(model: Model, { texts }: Prompts): Model {
  const labels = [...new Set(texts)];
  return { ...model, labels, nullClass: labels.length };
}

/** The denoiser that is asked by texts whose embeddings are there. */
function guideByText(
  denoiser: Denoiser,
  prompts: Prompts,
  embeddings: Embeddings,
): Denoiser {
  const { prior } = denoiser;
  const model = withPrompts(denoiser.model, prompts);
  if (prior !== undefined) return { ...denoiser, model, before: prior.askedBy(embeddings) };
  const told = (labels: tf.Tensor1D) => [tf.gather(embeddings.states, labels)];
  return {
    ...denoiser,
    ...toldByClass(denoiser, told),
    model,
    other: (name) => {
      const other = denoiser.other?.(name);
      if (other === undefined) throw new TypeError(`Cannot open ${name} here`);
      const { labels, nullClass } = model;
      return {
        ...other,
        ...toldByClass(other, told),
        model: { name: other.model.name, labels, nullClass },
      };
    },
  };
}

/** A denoiser that is asked by texts, and what the encoder made of them. */
export interface AskedByText {
  readonly denoiser: Denoiser;
  readonly embeddings: Embeddings;
  /** Frees those. */
  dispose(): void;
}

/** Encodes texts and asks a denoiser by them. @param onCut As of {@linkcode Encoder.encode} */
export async function askByText(
  denoiser: Denoiser,
  encoder: Encoder,
  prompts: Prompts,
  onCut?: (text: string, cut: string) => void,
): Promise<AskedByText> {
  const embeddings = await encoder.encode(prompts, onCut);
  return {
    denoiser: guideByText(denoiser, prompts, embeddings),
    embeddings,
    dispose: () => disposeEmbeddings(embeddings),
  };
}

type Asked = Pick<Networks, "network" | "pullback" | "perturbed" | "attention">;

/** Networks that are told something else in place of classes. */
export function toldByClass(
  { network, pullback, perturbed, attention }: Asked,
  told: (labels: tf.Tensor1D) => tf.Tensor[] | Promise<tf.Tensor[]>,
): Asked {
  const wrap = (compiled: Compiled, place: number): Compiled => {
    const asked: Compiled = async (...inputs) =>
      await compiled(...inputs.toSpliced(place, 1, ...await told(inputs[place] as tf.Tensor1D)));
    asked.release = async () => await compiled.release?.();
    return asked;
  };
  return { // the places of labels are those of Denoiser
    network: wrap(network, 2),
    pullback: pullback && wrap(pullback, 3),
    perturbed: perturbed && ((layers) => wrap(perturbed(layers), 2)),
    attention: attention && wrap(attention, 2),
  };
}

/** Turns texts into what the network reads of them. */
export interface Encoder {
  /**
   * @param onCut is told what of a text is too long to be read.
   */
  encode(prompts: Prompts, onCut?: (text: string, cut: string) => void): Promise<Embeddings>;
  /** Frees what it computes with; a later text loads it again. */
  release(): Promise<void>;
}

/**
 * Puts a text encoder on an engine.
 *
 * @param skip Its last layers that are left out ("clip skip").
 */
export function loadEncoder(text: TextEncoder, engine: Engine, skip = 0): Encoder {
  const { config, weights, tokenizer } = text;
  const network: Compiled = engine.compile(
    (scope, ids) => {
      const { last, projected } = clipText(scope, config, ids as tf.Tensor2D, skip);
      return projected === undefined ? [last] : [last, projected];
    },
    weights,
  );
  return {
    async encode({ texts, negative }, onCut) {
      const parts: Embeddings[] = [];
      for (const text of [...new Set(texts), negative]) { // one by one: a session for one shape
        const { ids, used, cut } = tokenizer.encode(text);
        if (cut !== "") onCut?.(text, cut);
        const input = tf.tensor2d(ids, [1, ids.length], "int32");
        const [states, pooled] = await network(input) as [tf.Tensor3D, tf.Tensor2D | undefined];
        input.dispose();
        const mask = tf.tensor2d(Float32Array.from(ids, (_, i) => Number(i < used)), input.shape);
        parts.push({ states, pooled, mask });
      }
      return stack(parts);
    },
    release: async () => await network.release?.(),
  };
}

/** Embeddings one after another in place of each. */
function stack(parts: readonly Embeddings[]): Embeddings {
  const vectors = parts.flatMap(({ pooled }) => pooled ?? []);
  const all = {
    states: tf.concat(parts.map(({ states }) => states)),
    pooled: vectors.length > 0 ? tf.concat(vectors) : undefined,
    mask: tf.concat(parts.map(({ mask }) => mask)),
  };
  parts.forEach(disposeEmbeddings);
  return all;
}

/** Frees embeddings. */
function disposeEmbeddings({ states, pooled, mask }: Embeddings): void {
  tf.dispose([states, pooled, mask]);
}
