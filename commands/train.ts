import { namedTensors } from "../training/parameters.ts";
import { saveModel } from "../pipeline/model.ts";
import { parseUNet2DConfig } from "../models/unet_2d.ts";
import { alphasCumprodOf } from "../schedules/mod.ts";
import { openDataset } from "../training/data/mod.ts";
import { diffusionTask } from "../training/diffusion.ts";
import { saveSheet } from "../training/sheet.ts";
import { train } from "../training/train.ts";
import { checkpointEvaluator } from "../evaluation/checkpoints.ts";
import { chooseFeatures } from "../evaluation/features/mod.ts";
import { command, usage, UsageError } from "./_command.ts";
import {
  attendedOf,
  checkFolder,
  configFrom,
  edgesOf,
  trainingEngine,
  trainingFlags,
  trainingRun,
  widthsOf,
} from "./_training.ts";

const flags = {
  ...trainingFlags({ steps: 5000, batchSize: 64, rate: 3e-3, folder: "runs/unet", headDim: 8 }),
  sheet: {
    type: "integer",
    default: 20,
    min: 0,
    help: "images on the sheet of samples that each checkpoint draws; 0 for none",
  },
  "evaluate-every": {
    type: "integer",
    default: 0,
    min: 0,
    help: "steps between evaluations, a multiple of --save-every; 0 for none",
    group: "Evaluation",
  },
  "evaluate-count": {
    type: "integer",
    default: 1000,
    min: 10,
    help: "samples that each evaluation draws, 25 steps each",
    group: "Evaluation",
  },
  features: {
    type: "string",
    default: "digits",
    value: "NAME|FILE",
    complete: "file",
    help: "what sees the images there, as in evaluate --features",
    group: "Evaluation",
  },
  prediction: {
    type: "string",
    choices: ["epsilon", "v_prediction", "sample"],
    default: "v_prediction",
    help: "what the network answers: noise, velocity or the clean image",
    group: "Objective",
  },
  "snr-gamma": {
    type: "number",
    default: 5,
    min: 0,
    help: "gamma of min-SNR loss weights; 0 is L_simple of DDPM, all levels alike",
    group: "Objective",
  },
  "label-drop": {
    type: "number",
    default: 0.1,
    min: 0,
    max: 1,
    help: "share of labels replaced by the null class, for classifier-free guidance",
    group: "Objective",
  },
  channels: {
    type: "string",
    default: "24,48,96",
    value: "N,N,…",
    help: "channels of each level; every further level halves the resolution",
    group: "Network",
  },
  layers: {
    type: "integer",
    default: 1,
    min: 1,
    help: "residual blocks of a level",
    group: "Network",
  },
  groups: { type: "integer", default: 8, min: 1, help: "groups of each norm", group: "Network" },
  "scale-shift": {
    type: "flag",
    default: true,
    help: "the timestep scales and shifts each block instead of being added",
    group: "Network",
  },
} as const;

export default command({
  name: "train",
  summary: "trains a UNet on images (DDPM, Algorithm 1)",
  usage: "",
  description:
    "Trains a UNet2DModel from scratch, with or without classes, and keeps the moving average of " +
    "its weights as a model folder that sample and diffusers load. A run is saved every " +
    "--save-every steps and on Ctrl-C, and continues exactly with --resume.",
  examples: [
    ["train --data mnist --size 32 -o runs/digits", "the digits model, from the first step"],
    ["train --data mnist --size 32 -o runs/digits --resume", "continues it"],
    [
      "train --data mnist --size 32 --evaluate-every 1000 -o runs/digits",
      "with figures in the log and in runs/digits/evaluation.html",
    ],
    ["train --data photos/ --size 64 --channels 64,128,256 -o runs/photos", "a folder of images"],
  ],
  flags,
  async run({ flags, io, given }) {
    await checkFolder(flags);
    const data = await usage(() => openDataset(flags.data, { size: flags.size }));
    const widths = widthsOf("channels", flags.channels);
    const edges = edgesOf(data, widths.length);
    const attended = attendedOf(flags.attention, edges, given("attention"));
    const attends = edges.map((edge) => attended.includes(edge));
    const classes = data.labels.length;
    const values = {
      sample_size: data.height,
      in_channels: data.channels,
      out_channels: data.channels,
      block_out_channels: widths,
      layers_per_block: flags.layers,
      down_block_types: attends.map((yes) => yes ? "AttnDownBlock2D" : "DownBlock2D"),
      up_block_types: attends.toReversed().map((yes) => yes ? "AttnUpBlock2D" : "UpBlock2D"),
      downsample_padding: 0,
      attention_head_dim: flags["head-dim"],
      norm_num_groups: flags.groups,
      attn_norm_num_groups: flags.groups,
      resnet_time_scale_shift: flags["scale-shift"] ? "scale_shift" : "default",
      num_class_embeds: classes > 0 ? classes + 1 : null,
    };
    const config = configFrom((path) => parseUNet2DConfig(values, path));
    const scheduler = {
      _class_name: "DDIMScheduler",
      beta_schedule: flags.schedule,
      beta_start: 1e-4,
      beta_end: 0.02,
      num_train_timesteps: flags.timesteps,
      prediction_type: flags.prediction,
      clip_sample: false,
      set_alpha_to_one: true,
      timestep_spacing: "trailing",
      steps_offset: 0,
    };
    const every = flags["evaluate-every"];
    if (every % flags["save-every"] !== 0) {
      throw new UsageError(
        `Cannot use --evaluate-every ${every}: it must be a multiple of --save-every, which is ${
          flags["save-every"]
        }`,
      );
    }
    const idle = (["evaluate-count", "features"] as const).find((flag) => given(flag));
    if (every === 0 && idle !== undefined) {
      throw new UsageError(`Cannot use --${idle} without --evaluate-every`);
    }
    const features = every > 0 ? await usage(() => chooseFeatures(flags.features)) : undefined;
    const engine = await trainingEngine(flags.engine);
    io.detail(`Computing on ${engine}`);
    const task = diffusionTask(config, data, {
      seed: flags.seed,
      batchSize: flags["batch-size"],
      alphasCumprod: alphasCumprodOf(scheduler),
      prediction: flags.prediction,
      snrGamma: flags["snr-gamma"],
      labelled: classes > 0,
      labelDrop: classes > 0 ? { nullClass: classes, share: flags["label-drop"] } : undefined,
    });
    return await trainingRun(flags, io, async (options, hooks) => {
      const evaluate = features && await checkpointEvaluator({
        folder: options.folder,
        data,
        dataName: flags.data,
        features,
        count: flags["evaluate-count"],
        trainer: options.engine,
      });
      return await train(task, options, {
        ...hooks,
        async onCheckpoint(step, { specs, vector }, logged) {
          const tensors = await namedTensors(vector, specs);
          await saveModel(options.folder, { config, tensors, scheduler, labels: data.labels });
          if (logged && flags.sheet > 0) {
            await saveSheet(options.folder, step, flags.sheet, options.engine);
          }
          const due = logged && (step % every === 0 || step === flags.steps);
          return due ? await evaluate?.(step) : undefined;
        },
      });
    }, {
      config,
      scheduler,
      data: flags.data,
      snrGamma: flags["snr-gamma"],
      labelDrop: flags["label-drop"],
    });
  },
});
