/**
 * Text encoders of Stable Diffusion's checkpoints under the names of transformers' `CLIPTextModel`:
 * OpenAI's CLIP (1.x) and OpenCLIP (2.x).
 *
 * @module
 */
import { renamed, rows } from "../formats/derived.ts";
import type { StoredTensor, Weights } from "../weights.ts";
import { below, byName } from "./names.ts";

/** A text encoder with its `config.json`. */
export interface ConvertedText {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Weights;
  readonly isOpenClip: boolean;
}

const CLIP = "cond_stage_model.transformer.";
const OPEN_CLIP = "cond_stage_model.model.";
const HEAD = 64; // channels, in both

/**
 * The text encoder of a checkpoint; undefined where it has none.
 *
 * @throws {TypeError} Where it is not whole; the message goes on from a colon.
 */
export function convertText(weights: Weights): ConvertedText | undefined {
  const own = below(weights, CLIP);
  if (own.size > 0) return describe(own, false);
  const open = below(weights, OPEN_CLIP);
  return open.size === 0 ? undefined : describe(renameOpenClip(open), true);
}

function describe(tensors: Weights, isOpenClip: boolean): ConvertedText {
  const weights = new Map([...tensors].filter(([name]) => !name.endsWith(".position_ids")));
  const shape = (name: string): readonly number[] => {
    const found = weights.get(`text_model.${name}.weight`)?.shape;
    if (found !== undefined) return found;
    throw new TypeError(`its text encoder has no "text_model.${name}.weight"`);
  };
  const [vocabulary, width = 0] = shape("embeddings.token_embedding");
  let layers = 0;
  while (weights.has(`text_model.encoder.layers.${layers}.mlp.fc1.weight`)) layers++;
  return {
    isOpenClip,
    weights,
    config: {
      architectures: ["CLIPTextModel"],
      model_type: "clip_text_model",
      vocab_size: vocabulary,
      hidden_size: width,
      intermediate_size: shape("encoder.layers.0.mlp.fc1")[0],
      num_hidden_layers: layers,
      num_attention_heads: Math.max(1, width / HEAD),
      max_position_embeddings: shape("embeddings.position_embedding")[0],
      hidden_act: isOpenClip ? "gelu" : "quick_gelu",
      layer_norm_eps: 1e-5,
      projection_dim: isOpenClip ? 512 : width,
      bos_token_id: 0,
      eos_token_id: 2,
      pad_token_id: 1,
    },
  };
}

const OUTSIDE: Readonly<Record<string, string>> = {
  positional_embedding: "text_model.embeddings.position_embedding.weight",
  "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
  "ln_final.weight": "text_model.final_layer_norm.weight",
  "ln_final.bias": "text_model.final_layer_norm.bias",
};

const PARTS: Readonly<Record<string, string>> = {
  ln_1: "layer_norm1",
  ln_2: "layer_norm2",
  "mlp.c_fc": "mlp.fc1",
  "mlp.c_proj": "mlp.fc2",
  "attn.out_proj": "self_attn.out_proj",
};

/**
 * OpenCLIP's names as those of CLIP. Its last layer is left out: Stable Diffusion 2 reads what the
 * layer before it gives.
 */
function renameOpenClip(weights: Weights): Weights {
  const layerOf = (name: string) => name.match(/^transformer\.resblocks\.(\d+)\.(.+)$/);
  const last = Math.max(...[...weights.keys()].map((name) => Number(layerOf(name)?.[1] ?? 0)));
  const tensors: StoredTensor[] = [];
  for (const [name, tensor] of weights) {
    const outside = OUTSIDE[name];
    if (outside !== undefined) tensors.push(renamed(tensor, outside));
    const [, layer, part = ""] = layerOf(name) ?? [];
    if (layer === undefined || Number(layer) === last) continue;
    const at = `text_model.encoder.layers.${layer}`;
    const [, leaf] = part.match(/^attn\.in_proj_(weight|bias)$/) ?? [];
    if (leaf !== undefined) {
      const width = (tensor.shape[0] ?? 0) / 3;
      for (const [index, to] of ["q_proj", "k_proj", "v_proj"].entries()) {
        const own = rows(tensor, index * width, width);
        tensors.push(renamed(own, `${at}.self_attn.${to}.${leaf}`));
      }
      continue;
    }
    const [, base = "", end] = part.match(/^(.+)\.(weight|bias)$/) ?? [];
    tensors.push(renamed(tensor, `${at}.${PARTS[base] ?? base}.${end}`));
  }
  return byName(tensors);
}
