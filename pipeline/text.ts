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
import { type ClipTextConfig, parseClipTextConfig, textStates } from "../models/clip_text.ts";
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

/** The model to whom these texts are its classes, the negative one its null class. */
export function withPrompts(model: Model, { texts }: Prompts): Model {
  const labels = [...new Set(texts)];
  return { ...model, labels, nullClass: labels.length };
}

/**
 * The denoiser that is asked by texts.
 *
 * @param embeddings Of {@linkcode Encoder.encode} for the same texts; they stay the caller's.
 */
export function guideByText(
  denoiser: Denoiser,
  prompts: Prompts,
  embeddings: tf.Tensor3D,
): Denoiser {
  return {
    ...denoiser,
    ...asClasses(denoiser, embeddings),
    model: withPrompts(denoiser.model, prompts),
    other: (name) => {
      const other = denoiser.other?.(name);
      if (other === undefined) throw new TypeError(`Cannot open ${name} here`);
      const { labels, nullClass } = withPrompts(denoiser.model, prompts);
      return {
        ...other,
        ...asClasses(other, embeddings),
        model: { name: other.model.name, labels, nullClass },
      };
    },
  };
}

type Asked = Pick<Networks, "network" | "pullback" | "perturbed" | "attention">;

/** Networks whose classes are rows of embeddings. */
function asClasses(
  { network, pullback, perturbed, attention }: Asked,
  embeddings: tf.Tensor3D,
): Asked {
  const wrap = (compiled: Compiled, place: number): Compiled => {
    const asked: Compiled = (...inputs) => {
      const labels = inputs[place] as tf.Tensor1D;
      return compiled(...inputs.with(place, tf.gather(embeddings, labels)));
    };
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
   * One embedding for each text and the last for the negative one, `[texts + 1, tokens, width]`.
   *
   * @param onCut is told what of a text is too long to be read.
   */
  encode(prompts: Prompts, onCut?: (text: string, cut: string) => void): Promise<tf.Tensor3D>;
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
    (scope, ids) => [textStates(scope, config, ids as tf.Tensor2D, skip)],
    weights,
  );
  return {
    async encode({ texts, negative }, onCut) {
      const parts: tf.Tensor3D[] = [];
      for (const text of [...new Set(texts), negative]) { // one by one: a session for one shape
        const { ids, cut } = tokenizer.encode(text);
        if (cut !== "") onCut?.(text, cut);
        const input = tf.tensor2d(ids, [1, ids.length], "int32");
        const [embedding] = await network(input);
        input.dispose();
        if (embedding !== undefined) parts.push(embedding as tf.Tensor3D);
      }
      const all = tf.concat(parts);
      tf.dispose(parts);
      return all;
    },
    release: async () => await network.release?.(),
  };
}
