/**
 * First stages of CompVis' latent diffusion under the names of diffusers: `AutoencoderKL` and
 * `VQModel`.
 *
 * @module
 */
import { renamed } from "../formats/derived.ts";
import type { StoredTensor, Weights } from "../weights.ts";
import { byName, flattened } from "./names.ts";

const ATTENTION: Readonly<Record<string, string>> = {
  norm: "group_norm",
  q: "to_q",
  k: "to_k",
  v: "to_v",
  proj_out: "to_out.0",
};

/** Blocks by what their names begin with; `levels` is the number of resolutions. */
function blockOf(name: string, levels: number): string {
  return name
    .replace(/\.mid\.block_([12])\./, (_, index) => `.mid_block.resnets.${index - 1}.`)
    .replace(/\.mid\.attn_1\./, ".mid_block.attentions.0.")
    .replace(/\.down\.(\d+)\./, ".down_blocks.$1.")
    .replace(/\.up\.(\d+)\./, (_, level) => `.up_blocks.${levels - 1 - level}.`)
    .replace(/\.block\.(\d+)\./, ".resnets.$1.")
    .replace(/\.attn\.(\d+)\./, ".attentions.$1.")
    .replace(".downsample.conv.", ".downsamplers.0.conv.")
    .replace(".upsample.conv.", ".upsamplers.0.conv.")
    .replace(".nin_shortcut.", ".conv_shortcut.")
    .replace(/\.norm_out\.(weight|bias)$/, ".conv_norm_out.$1");
}

function convert(name: string, tensor: StoredTensor, levels: number): StoredTensor {
  const block = blockOf(name, levels);
  const [, before, part = "", leaf] =
    block.match(/^(.*\.attentions\.\d+)\.(\w+)\.(weight|bias)$/) ?? [];
  if (before === undefined) return renamed(tensor, block);
  return renamed(flattened(tensor), `${before}.${ATTENTION[part] ?? part}.${leaf}`);
}

/** An autoencoder under diffusers' names with its `config.json`. */
export interface ConvertedAutoencoder {
  readonly config: Readonly<Record<string, unknown>> & { readonly _class_name: string };
  readonly weights: Weights;
}

/**
 * Renames an autoencoder's tensors and finds its configuration.
 *
 * @param weights without a prefix, such as `encoder.down.0.block.0.conv1.weight`.
 * @param edge Of the images that it was trained on.
 * @throws {TypeError} Where it is none; the message goes on from a colon.
 */
export function convertAutoencoder(weights: Weights, edge: number): ConvertedAutoencoder {
  const shape = (name: string): readonly number[] => {
    const found = weights.get(name)?.shape;
    if (found !== undefined) return found;
    throw new TypeError(`it has no "${name}", so it has no first stage that is known here`);
  };
  const widths: number[] = [];
  while (weights.has(`encoder.down.${widths.length}.block.0.conv1.weight`)) {
    widths.push(shape(`encoder.down.${widths.length}.block.0.conv1.weight`)[0] ?? 0);
  }
  let layers = 0;
  while (weights.has(`encoder.down.0.block.${layers}.conv1.weight`)) layers++;
  const attends = widths.findIndex((_, level) =>
    weights.has(`encoder.down.${level}.attn.0.q.weight`)
  );
  if (attends !== -1) throw new TypeError("its first stage has attention between its layers");
  const [codes, size] = weights.get("quantize.embedding.weight")?.shape ?? [];
  const [latents = 0] = shape("encoder.conv_out.weight");
  const common = {
    in_channels: shape("encoder.conv_in.weight")[1],
    out_channels: shape("decoder.conv_out.weight")[0],
    down_block_types: widths.map(() => "DownEncoderBlock2D"),
    up_block_types: widths.map(() => "UpDecoderBlock2D"),
    block_out_channels: widths,
    layers_per_block: layers,
    act_fn: "silu",
    norm_num_groups: 32,
    sample_size: edge,
  };
  const tensors = [...weights].filter(([name]) =>
    /^(encoder|decoder|quant_conv|post_quant_conv|quantize)\./.test(name)
  );
  return {
    config: codes === undefined
      ? {
        _class_name: "AutoencoderKL",
        ...common,
        latent_channels: latents / 2,
        scaling_factor: 0.18215,
      }
      : {
        _class_name: "VQModel",
        ...common,
        latent_channels: latents,
        num_vq_embeddings: codes,
        vq_embed_dim: size,
        scaling_factor: 1,
      },
    weights: byName(tensors.map(([name, tensor]) => convert(name, tensor, widths.length))),
  };
}
