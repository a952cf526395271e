import { type Model, openModel, saveModel } from "../pipeline/model.ts";
import { trainable } from "../pipeline/unet.ts";
import { parseUNet2DConfig, type UNet2DConfig } from "../models/unet_2d.ts";
import { alphasCumprodOf, type SchedulerConfig, withDefaults } from "../schedules/mod.ts";
import type { Dataset } from "../training/data/dataset.ts";
import { openDataset } from "../training/data/mod.ts";
import { diffusionTask } from "../training/diffusion.ts";
import { initialValues } from "../training/initial.ts";
import { predictionType } from "../training/objective.ts";
import { isLearned, type VarianceType } from "../training/objectives/reverse.ts";
import { namedTensors } from "../training/parameters.ts";
import { saveSheet } from "../training/sheet.ts";
import { drawnValues, type RunOptions, train } from "../training/train.ts";
import { parameterization } from "../pipeline/prediction.ts";
import { checkpointEvaluator } from "../evaluation/checkpoints.ts";
import { chooseFeatures } from "../evaluation/features/mod.ts";
import { command, type Flags, usage, UsageError, type Values } from "./_command.ts";
import type { Io } from "./_io.ts";
import { type ChosenObjective, objectiveFlags, objectiveOf, timestepsOf } from "./_objective.ts";
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
  init: {
    type: "string",
    value: "MODEL",
    complete: "model",
    help: "a bundled name or a folder, whose weights, network and schedule the run starts from",
  },
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
  ...objectiveFlags,
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
} as const satisfies Flags;

type TrainValues = Values<typeof flags>;
type Given = (flag: keyof typeof flags) => boolean;

export default command({
  name: "train",
  summary: "trains a UNet on images (DDPM, Algorithm 1)",
  usage: "",
  description:
    "Trains a UNet2DModel from scratch or from a model, with or without classes, and keeps the " +
    "moving average of its weights as a model folder that sample and diffusers load. A run is " +
    "saved every --save-every steps and on Ctrl-C, and continues exactly with --resume.",
  examples: [
    ["train --data mnist --size 32 -o runs/digits", "the digits model, from the first step"],
    ["train --data mnist --size 32 -o runs/digits --resume", "continues it"],
    [
      "train --data mnist --size 32 --evaluate-every 1000 -o runs/digits",
      "with figures in the log and in runs/digits/evaluation.html",
    ],
    ["train --data photos/ --size 64 --channels 64,128,256 -o runs/photos", "a folder of images"],
    [
      "train --init digits --objective hybrid --learn-variance --lr 1e-3 -o runs/variance",
      "teaches a model the variance of its steps",
    ],
  ],
  flags,
  async run({ flags, io, given }) {
    await checkFolder(flags);
    const chosen = objectiveOf(flags, given);
    const base = flags.init === undefined ? undefined : openModel(flags.init);
    const size = flags.size ?? base?.unet.edge ?? undefined;
    const data = await usage(() => openDataset(flags.data, { size }));
    const config = networkOf(data, flags, given, { base, learns: isLearned(chosen.variance) });
    const scheduler = schedulerOf(flags, given, base, chosen);
    const prediction = predictionType(parameterization(scheduler, false).type);
    const alphasCumprod = alphasCumprodOf(scheduler);
    const classes = data.labels.length;
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
      ...chosen,
      timesteps: timestepsOf(flags, alphasCumprod),
      seed: flags.seed,
      batchSize: flags["batch-size"],
      alphasCumprod,
      prediction,
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
      return await train(task, { ...options, start: base && startFrom(base, flags.seed, io) }, {
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
      init: flags.init ?? null,
      ...chosen,
      timesteps: flags["t-sampler"] === "lognormal"
        ? { mean: flags["p-mean"], deviation: flags["p-std"] }
        : flags["t-sampler"],
      labelDrop: flags["label-drop"],
    });
  },
});

/** The network to be trained: the model's, where there is one, but for what was typed. */
function networkOf(
  data: Dataset,
  flags: TrainValues,
  given: Given,
  { base, learns }: { readonly base: Model | undefined; readonly learns: boolean },
): UNet2DConfig {
  const model = base && trainable(base.unet, base.name).config;
  if (model !== undefined && !learns && model.out_channels === 2 * model.in_channels) {
    throw new UsageError(
      `Cannot start from ${base?.name} without --learn-variance: its network tells the variance`,
    );
  }
  const typed = (flag: keyof typeof flags) => model === undefined || given(flag);
  const widths = typed("channels")
    ? widthsOf("channels", flags.channels)
    : model?.block_out_channels ?? [];
  const edges = edgesOf(data, widths.length);
  const classes = data.labels.length;
  const values: Record<string, unknown> = {
    ...model ?? { downsample_padding: 0 },
    sample_size: data.height,
    in_channels: data.channels,
    out_channels: learns ? 2 * data.channels : data.channels,
    block_out_channels: widths,
    num_class_embeds: classes > 0 ? classes + 1 : null,
  };
  if (typed("attention") || typed("channels")) {
    const attended = attendedOf(flags.attention, edges, given("attention"));
    const attends = edges.map((edge) => attended.includes(edge));
    values["down_block_types"] = attends.map((yes) => yes ? "AttnDownBlock2D" : "DownBlock2D");
    values["up_block_types"] = attends.toReversed()
      .map((yes) => yes ? "AttnUpBlock2D" : "UpBlock2D");
  }
  if (typed("layers")) values["layers_per_block"] = flags.layers;
  if (typed("head-dim")) values["attention_head_dim"] = flags["head-dim"];
  if (typed("groups")) {
    values["norm_num_groups"] = flags.groups;
    values["attn_norm_num_groups"] = flags.groups;
  }
  if (typed("scale-shift")) {
    values["resnet_time_scale_shift"] = flags["scale-shift"] ? "scale_shift" : "default";
  }
  return configFrom((path) => parseUNet2DConfig(values, path));
}

/** Where no model says otherwise. */
const SCHEDULER = {
  _class_name: "DDIMScheduler",
  set_alpha_to_one: true,
  clip_sample: false,
  timestep_spacing: "trailing",
  steps_offset: 0,
} as const;

/** Variances as `scheduler_config.json` has them. */
const VARIANCES = {
  small: "fixed_small",
  large: "fixed_large",
  learned: "learned",
  learned_range: "learned_range",
} as const satisfies Record<VarianceType, string>;

/** The schedule to be trained on: the model's, where there is one, but for what was typed. */
function schedulerOf(
  flags: TrainValues,
  given: Given,
  base: Model | undefined,
  { objective, variance }: ChosenObjective,
): SchedulerConfig {
  const typed = (flag: keyof typeof flags) => base === undefined || given(flag);
  const scheduler = {
    ...base?.scheduler ?? SCHEDULER,
    ...typed("schedule") && { beta_schedule: flags.schedule, beta_start: 1e-4, beta_end: 0.02 },
    ...typed("timesteps") && { num_train_timesteps: flags.timesteps },
    ...typed("prediction") && { prediction_type: flags.prediction },
  };
  if (objective === "simple") return scheduler;
  // DDIMScheduler knows no variance, and DDPMScheduler always ends at the clean image.
  const { set_alpha_to_one: _, ...rest } = { set_alpha_to_one: true, ...scheduler };
  const full = withDefaults(scheduler);
  return {
    ...rest,
    ...Object.fromEntries(GRANTED.map((key) => [key, full[key]])),
    _class_name: "DDPMScheduler",
    variance_type: VARIANCES[variance],
  };
}

/** What another class may have taken for granted in another way than DDPMScheduler does. */
const GRANTED = [
  "beta_schedule",
  "beta_start",
  "beta_end",
  "num_train_timesteps",
  "prediction_type",
  "clip_sample",
  "timestep_spacing",
  "steps_offset",
] as const;

/** Start values out of a model; tells what is taken from it and what is not. */
function startFrom(base: Model, seed: number, io: Io): NonNullable<RunOptions["start"]> {
  return async (specs) => {
    const { values, taken, widened, fresh } = await initialValues(
      specs,
      base.unet.weights,
      drawnValues(specs, seed),
    );
    const list = (names: readonly string[]) => names.length === 0 ? "nothing" : names.join(", ");
    io.log(
      `Starting from ${base.name}: ${taken.length} of ${specs.length} parameters as they are there; widened, with zeros in the second half: ${
        list(widened)
      }; new: ${list(fresh)}`,
    );
    return values;
  };
}
