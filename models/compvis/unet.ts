/**
 * UNets of guided-diffusion and of CompVis' latent diffusion under the names of diffusers.
 *
 * @module
 */
import { type Inferred, inferShapes } from "../openai_shapes.ts";
import { renamed } from "../formats/derived.ts";
import type { StoredTensor, Weights } from "../weights.ts";
import { byName, flattened, type HeadOrder, residualPart, splitProjection } from "./names.ts";

/** Layers outside of the blocks. */
const LAYERS: Readonly<Record<string, string>> = {
  "time_embed.0": "time_embedding.linear_1",
  "time_embed.2": "time_embedding.linear_2",
  "input_blocks.0.0": "conv_in",
  "out.0": "conv_norm_out",
  "out.2": "conv_out",
  label_emb: "class_embedding",
};

const MIDDLE = ["resnets.0", "attentions.0", "resnets.1"];

/** The block that a name is in, and the rest of the name. */
function placeOf(name: string, layers: number): { block: string; part: string } | undefined {
  const [, half, index, position, part = ""] = name.match(
    /^(input_blocks|output_blocks)\.(\d+)\.(\d+)\.(.+)$/,
  ) ?? [];
  const [, middle, rest = ""] = name.match(/^middle_block\.([012])\.(.+)$/) ?? [];
  if (middle !== undefined) {
    return { block: `mid_block.${MIDDLE[Number(middle)]}`, part: rest };
  }
  if (half === undefined) return undefined;
  const number = Number(index) - (half === "input_blocks" ? 1 : 0); // the first is conv_in
  const [level, layer] = [Math.floor(number / (layers + 1)), number % (layers + 1)];
  const isResidual = residualPart(part) !== undefined;
  if (half === "input_blocks" && layer === layers) {
    const block = `down_blocks.${level}.downsamplers.0`;
    return isResidual ? { block, part } : { block, part: part.replace(/^op\./, "conv.") };
  }
  const side = half === "input_blocks" ? "down_blocks" : "up_blocks";
  if (position === "0") return { block: `${side}.${level}.resnets.${layer}`, part };
  if (isResidual || part.startsWith("conv.")) {
    return { block: `${side}.${level}.upsamplers.0`, part };
  }
  return { block: `${side}.${level}.attentions.${layer}`, part };
}

/** A part of the attention of networks without texts. */
function attentionPart(
  tensor: StoredTensor,
  block: string,
  part: string,
  heads: HeadOrder,
): StoredTensor[] {
  const [, base, leaf = ""] = part.match(/^(norm|qkv|proj_out)\.(weight|bias)$/) ?? [];
  if (base === "qkv") return splitProjection(tensor, block, leaf, heads);
  if (base === "norm") return [renamed(tensor, `${block}.group_norm.${leaf}`)];
  return [renamed(flattened(tensor), `${block}.to_out.0.${leaf}`)];
}

/** A UNet under diffusers' names, and what its shapes say. */
export interface ConvertedUNet {
  readonly shapes: Inferred;
  readonly weights: Weights;
  /** Whether it reads texts, by cross-attention. */
  readonly crossAttends: boolean;
}

/**
 * Renames a UNet's tensors.
 *
 * @param weights under OpenAI's names, without a prefix.
 * @param headsOf the order of the rows of query, key and value, by their width.
 * @throws {TypeError} Where it is no such network; the message goes on from a colon.
 */
export function convertUNet(
  weights: Weights,
  headsOf: (width: number) => HeadOrder = () => ({ together: false, size: 1 }),
): ConvertedUNet {
  const shapes = inferShapes(weights);
  const crossAttends = [...weights.keys()].some((name) => name.includes(".transformer_blocks."));
  const convert = (name: string, tensor: StoredTensor): StoredTensor[] => {
    const [, base = "", leaf = ""] = name.match(/^(.+)\.(weight|bias)$/) ?? [];
    if (Object.hasOwn(LAYERS, base)) return [renamed(tensor, `${LAYERS[base]}.${leaf}`)];
    const place = placeOf(name, shapes.num_res_blocks);
    if (place === undefined) {
      throw new TypeError(`its tensor "${name}" belongs to no network that is known here`);
    }
    const { block, part } = place;
    const residual = residualPart(part);
    if (residual !== undefined) return [renamed(tensor, `${block}.${residual}`)];
    const plain = crossAttends || !block.includes(".attentions.");
    if (plain) return [renamed(tensor, `${block}.${part}`)];
    const width = part.startsWith("qkv") ? (tensor.shape[0] ?? 0) / 3 : 0;
    return attentionPart(tensor, block, part, headsOf(width));
  };
  const tensors = [...weights].flatMap(([name, tensor]) => convert(name, tensor));
  return { shapes, crossAttends, weights: byName(tensors) };
}
