/**
 * Checkpoints in one file as the folders that diffusers has for them.
 *
 * @module
 */
import { convertAutoencoder } from "../models/compvis/autoencoder.ts";
import { below } from "../models/compvis/names.ts";
import { type ConvertedText, convertText } from "../models/compvis/text.ts";
import { type ConvertedUNet, convertUNet } from "../models/compvis/unet.ts";
import { parseArguments } from "../models/openai_arguments.ts";
import type { Inferred } from "../models/openai_shapes.ts";
import type { OpenAIUNetConfig } from "../models/openai_unet.ts";
import type { Weights } from "../models/weights.ts";
import type { Folder, NetworkFiles } from "./folder.ts";
import type { Model } from "./model.ts";

type Json = Readonly<Record<string, unknown>>;

/** What a checkpoint's weights do not say. */
export interface Unsaid {
  /** What Stable Diffusion 2 predicts, which its weights do not say. */
  readonly prediction?: "epsilon" | "v_prediction" | undefined;
  /** OpenAI's arguments, for heads. */
  readonly modelFlags?: string | undefined;
  /** Takes the moving average of the UNet, where the file has it. */
  readonly ema?: boolean | undefined;
}

/** The file of a network's weights, and its configuration. */
function network(folder: string, config: Json, weights: Weights): NetworkFiles {
  const stem = folder === "text_encoder" || folder === "classifier"
    ? "model"
    : "diffusion_pytorch_model";
  return { folder, config, stem, weights };
}

const UNET = "model.diffusion_model.";

/** Whether a checkpoint is one of CompVis' latent diffusion, such as Stable Diffusion's. */
export function isCompVis(weights: Weights): boolean {
  return weights.has(`${UNET}input_blocks.0.0.weight`);
}

/** The UNet of a checkpoint, or the moving average of its weights. */
function unetOf(weights: Weights, ema: boolean): Weights {
  const own = below(weights, UNET);
  if (!ema) return own;
  return new Map([...own].map(([name, tensor]) => {
    // The average is kept under names without dots.
    const stored = weights.get(`model_ema.diffusion_model${name.replaceAll(".", "")}`);
    if (stored !== undefined) return [name, { ...stored, name: tensor.name }];
    throw new TypeError(`it has no moving average of "${name}"; leave out --ema`);
  }));
}

/**
 * A checkpoint of CompVis as a folder.
 *
 * @throws {TypeError} Where it is none that is known, or something needs to be said; the message
 * goes on from a colon.
 */
export function convertCompVis(weights: Weights, unsaid: Unsaid): Folder {
  const unet = unetOf(weights, unsaid.ema === true);
  const crossAttends = [...unet.keys()].some((name) => name.includes(".transformer_blocks."));
  const text = convertText(weights);
  if (crossAttends !== (text !== undefined)) {
    throw new TypeError(
      crossAttends
        ? "its UNet reads texts, and it has no text encoder of Stable Diffusion"
        : "it has a text encoder, and a UNet that reads no texts",
    );
  }
  return text === undefined
    ? convertLatent(weights, unet, unsaid)
    : convertStable(weights, convertUNet(unet), text, unsaid);
}

/** What is said of each kind of Stable Diffusion, by the channels that its UNet takes. */
const KINDS = {
  4: { pipeline: "StableDiffusionPipeline" },
  9: { pipeline: "StableDiffusionInpaintPipeline" },
  // As x4-upscaling.yaml has it, the configuration of the only one.
  7: {
    pipeline: "StableDiffusionUpscalePipeline",
    prediction: "v_prediction",
    betas: { beta_start: 0.0001, beta_end: 0.02 },
    latents: { scaling_factor: 0.08333, sample_size: 256 },
    edge: 128,
    heads: 8,
    index: { low_res_scheduler: ["diffusers", "DDPMScheduler"], max_noise_level: 350 },
  },
} as const;

/** Stable Diffusion. */
function convertStable(
  weights: Weights,
  { shapes, weights: unet }: ConvertedUNet,
  text: ConvertedText,
  unsaid: Unsaid,
): Folder {
  const { inputs } = shapes;
  if (inputs !== 4 && inputs !== 9 && inputs !== 7) {
    throw new TypeError(
      `its UNet takes ${inputs} channels; Stable Diffusion's takes 4, 9 to fill holes, or 7 to enlarge`,
    );
  }
  const upscales = inputs === 7 ? KINDS[inputs] : undefined;
  const prediction = unsaid.prediction ?? upscales?.prediction ??
    (text.isOpenClip ? undefined : "epsilon");
  if (prediction === undefined) {
    throw new TypeError(
      "weights of Stable Diffusion 2 do not say what they predict; add --prediction v_prediction (768 pixels) or epsilon (512)",
    );
  }
  const edge = prediction === "v_prediction" ? 768 : 512;
  const vae = convertAutoencoder(below(weights, "first_stage_model."), edge);
  const factor = 2 ** (widthsOf(vae.config).length - 1);
  const scheduler = text.isOpenClip ? "DDIMScheduler" : "PNDMScheduler";
  const betas = {
    beta_schedule: "scaled_linear",
    ...upscales?.betas ?? { beta_start: 0.00085, beta_end: 0.012 },
  };
  return {
    files: {
      "model_index.json": {
        _class_name: KINDS[inputs].pipeline,
        ...upscales?.index,
        feature_extractor: [null, null],
        requires_safety_checker: false,
        safety_checker: [null, null],
        scheduler: ["diffusers", scheduler],
        text_encoder: ["transformers", "CLIPTextModel"],
        tokenizer: ["transformers", "CLIPTokenizer"],
        unet: ["diffusers", "UNet2DConditionModel"],
        vae: ["diffusers", vae.config._class_name],
      },
      "scheduler/scheduler_config.json": {
        _class_name: scheduler,
        ...betas,
        clip_sample: false,
        num_train_timesteps: 1000,
        prediction_type: prediction,
        set_alpha_to_one: false,
        steps_offset: 1,
        ...(!text.isOpenClip && { skip_prk_steps: true }),
      },
      ...upscales && {
        "low_res_scheduler/scheduler_config.json": { _class_name: "DDPMScheduler", ...betas },
      },
    },
    networks: [
      network(
        "unet",
        {
          ...stableConfig(shapes, unet, text, upscales?.edge ?? edge / factor),
          ...upscales && { attention_head_dim: upscales.heads },
        },
        unet,
      ),
      network("vae", { ...vae.config, ...upscales?.latents }, vae.weights),
      network("text_encoder", text.config, text.weights),
    ],
    missing: ["tokenizer"],
  };
}

const widthsOf = ({ block_out_channels: widths }: Json) => widths as readonly number[]; // made here

/** The `config.json` of a UNet that reads texts. */
function stableConfig(shapes: Inferred, unet: Weights, text: ConvertedText, edge: number): Json {
  const { attention_resolutions: rates, num_res_blocks: layers } = shapes;
  const widths = shapes.channel_mult.map((multiple) => multiple * shapes.model_channels);
  const attends = widths.map((_, level) => rates.includes(2 ** level));
  const find = (pattern: RegExp) =>
    [...unet.values()].find(({ name }) => pattern.test(name))?.shape ?? [];
  const classes = unet.get("class_embedding.weight")?.shape[0];
  // Where self-attention is left out, its keys have the width of texts.
  const onlyCross = widths.map((_, level) => {
    const name = `down_blocks.${level}.attentions.0.transformer_blocks.0.attn1.to_k.weight`;
    const [own, read] = unet.get(name)?.shape ?? [];
    return own !== read;
  });
  return {
    _class_name: "UNet2DConditionModel",
    sample_size: edge,
    in_channels: shapes.inputs,
    out_channels: unet.get("conv_out.weight")?.shape[0],
    down_block_types: attends.map((it) => it ? "CrossAttnDownBlock2D" : "DownBlock2D"),
    mid_block_type: "UNetMidBlock2DCrossAttn",
    up_block_types: attends.toReversed().map((it) => it ? "CrossAttnUpBlock2D" : "UpBlock2D"),
    block_out_channels: widths,
    layers_per_block: layers,
    cross_attention_dim: find(/\.attn2\.to_k\.weight$/)[1],
    // Heads of 64 channels in Stable Diffusion 2, and 8 heads before: diffusers counts heads here.
    attention_head_dim: text.isOpenClip ? widths.map((width) => Math.max(1, width / 64)) : 8,
    use_linear_projection: find(/\.attentions\.0\.proj_in\.weight$/).length === 2,
    act_fn: "silu",
    center_input_sample: false,
    downsample_padding: 1,
    flip_sin_to_cos: true,
    freq_shift: 0,
    mid_block_scale_factor: 1,
    norm_eps: 1e-5,
    norm_num_groups: 32,
    ...(classes !== undefined && { num_class_embeds: classes }),
    ...(onlyCross.includes(true) && { only_cross_attention: onlyCross }),
  };
}

/** Latent diffusion without conditions: a UNet of OpenAI's kind on the codes of an autoencoder. */
function convertLatent(weights: Weights, unet: Weights, { modelFlags }: Unsaid): Folder {
  const { num_head_channels: size } = modelFlags === undefined
    ? {}
    : parseArguments(modelFlags).given;
  if (size === undefined || size < 1) {
    throw new TypeError(
      'its weights do not say how large its heads are; add --model-flags "--num_head_channels N"',
    );
  }
  const { shapes, weights: tensors } = convertUNet(unet, () => ({ together: true, size }));
  const vae = convertAutoencoder(below(weights, "first_stage_model."), 256);
  const edge = 256 / 2 ** (widthsOf(vae.config).length - 1);
  const outputs = tensors.get("conv_out.weight")?.shape[0] ?? 0;
  return {
    files: {
      "model_index.json": {
        _class_name: "LDMPipeline",
        scheduler: ["diffusers", "DDIMScheduler"],
        unet: ["diffusers", "UNet2DModel"],
        vqvae: ["diffusers", vae.config._class_name],
      },
      "scheduler/scheduler_config.json": {
        _class_name: "DDIMScheduler",
        beta_schedule: "scaled_linear",
        beta_start: 0.0015,
        beta_end: 0.0195,
        clip_sample: false,
        num_train_timesteps: 1000,
        prediction_type: "epsilon",
        set_alpha_to_one: false,
        timestep_spacing: "leading",
      },
    },
    networks: [
      network("unet", pixelConfig(shapes, { size, edge, outputs, classes: null }), tensors),
      network("vqvae", vae.config, vae.weights),
    ],
    missing: [],
  };
}

/** The `config.json` of a UNet that reads no texts. */
function pixelConfig(
  shapes: Inferred,
  { size, edge, outputs, classes }: {
    readonly size: number;
    readonly edge: number;
    readonly outputs: number;
    readonly classes: number | null;
  },
): Json {
  const { resblock_updown: updown, attention_resolutions: rates } = shapes;
  const widths = shapes.channel_mult.map((multiple) => multiple * shapes.model_channels);
  const attends = widths.map((_, level) => rates.includes(2 ** level));
  const [down, up] = updown
    ? ["ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"]
    : ["DownBlock2D", "UpBlock2D"];
  const how = updown ? "resnet" : "conv";
  return {
    _class_name: "UNet2DModel",
    sample_size: edge,
    in_channels: shapes.inputs,
    out_channels: outputs,
    down_block_types: attends.map((it) => it ? "AttnDownBlock2D" : down),
    up_block_types: attends.toReversed().map((it) => it ? "AttnUpBlock2D" : up),
    block_out_channels: widths,
    layers_per_block: shapes.num_res_blocks,
    act_fn: "silu",
    attention_head_dim: size,
    // diffusers leaves the norm of the middle's attention out of such networks unless it is told.
    attn_norm_num_groups: 32,
    downsample_padding: 1,
    downsample_type: how,
    upsample_type: how,
    flip_sin_to_cos: true,
    freq_shift: 0,
    norm_eps: 1e-5,
    norm_num_groups: 32,
    num_class_embeds: classes,
    resnet_time_scale_shift: shapes.use_scale_shift_norm ? "scale_shift" : "default",
    time_embedding_type: "positional",
  };
}

/** The refusal of a network of OpenAI's that diffusers has no pipeline for; it goes on from a colon. */
export function notConvertible(kind: string): TypeError {
  return new TypeError(`diffusers has no pipeline for a ${kind} of pixels; sample runs its file`);
}

/**
 * A model of OpenAI's file as a folder with a `UNet2DModel`, which is the same network.
 *
 * @throws {TypeError} Where diffusers has no such network; the message goes on from a colon.
 */
export function convertOpenAI({ unet, scheduler, classifier }: Model): Folder {
  if (unet.kind !== "UNetModel") throw notConvertible(unet.kind);
  const { config } = unet;
  if (!config.conv_resample && !config.resblock_updown) {
    throw new TypeError("diffusers has no blocks that resize without a convolution");
  }
  const size = headSize(config);
  const together = !config.use_new_attention_order;
  const { shapes, weights } = convertUNet(unet.weights, () => ({ together, size }));
  const { image_size: edge, out_channels: outputs, num_classes: classes } = config;
  const networks = [
    network("unet", pixelConfig(shapes, { size, edge, outputs, classes }), weights),
  ];
  if (classifier !== undefined) {
    const values = { _class: "EncoderUNetModel", ...classifier.config };
    networks.push(network("classifier", values, classifier.weights));
  }
  return {
    files: {
      "model_index.json": {
        _class_name: "DDPMPipeline",
        scheduler: ["diffusers", "DDPMScheduler"],
        unet: ["diffusers", "UNet2DModel"],
      },
      "scheduler/scheduler_config.json": scheduler,
    },
    networks,
    missing: [],
  };
}

/** Channels of every head, which diffusers has one number for. */
function headSize(config: OpenAIUNetConfig): number {
  const { num_head_channels: size, num_heads: heads, num_heads_upsample: upper } = config;
  if (size !== -1) return size;
  const { attention_resolutions: rates, channel_mult: multiples, model_channels: base } = config;
  const last = multiples.length - 1;
  const widths = multiples.map((multiple) => multiple * base)
    .filter((_, level) => rates.includes(2 ** level) || level === last);
  const [width = 0, other] = [...new Set(widths)];
  if (other === undefined && (upper === -1 || upper === heads)) return width / heads;
  throw new TypeError("its heads have several sizes, and a UNet2DModel has one");
}
