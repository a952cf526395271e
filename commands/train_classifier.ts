import { dirname, join, resolve } from "@std/path";
import { exists } from "@std/fs";
import type * as tf from "tfjs";
import { eagerEngine } from "../engines/eager.ts";
import type { Engine } from "../engines/engine.ts";
import {
  encoderUNet,
  type EncoderUNetConfig,
  parseEncoderUNetConfig,
} from "../models/encoder_unet.ts";
import type { NewTensor } from "../models/safetensors.ts";
import { openModel, saveClassifier } from "../pipeline/model.ts";
import { alphasCumprodOf } from "../schedules/mod.ts";
import { makeBatches } from "../training/batches.ts";
import { accuracyByBand, BANDS, classifierTask, type HeldOut } from "../training/classifier.ts";
import type { Dataset } from "../training/data/dataset.ts";
import { openHalves } from "../training/data/held_out.ts";
import { namedTensors } from "../training/parameters.ts";
import { train } from "../training/train.ts";
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

/**
 * What accuracy is measured on: the same images, noise and timesteps in every run. Of a small set
 * fewer batches are taken, so that no image comes more often than there are bands.
 */
const HELD_OUT = { seed: 20_000, batches: 8, batchSize: 250 } as const;

/** One level, at which all of the image is left. */
const CLEAN = Float64Array.of(1);

const flags = {
  ...trainingFlags({
    steps: 1500,
    batchSize: 64,
    rate: 2e-3,
    folder: "runs/classifier",
    headDim: 32,
  }),
  clean: {
    type: "flag",
    help: "train on images without noise: a reader of samples, for evaluate --features FOLDER",
    group: "Objective",
  },
  width: {
    type: "integer",
    default: 32,
    min: 32,
    help: "channels of the first level, a multiple of 32",
    group: "Network",
  },
  "channel-mult": {
    type: "string",
    default: "1,2,2,2",
    value: "N,N,…",
    help: "channels of each level as multiples of --width; every further one halves the resolution",
    group: "Network",
  },
  depth: {
    type: "integer",
    default: 1,
    min: 1,
    help: "residual blocks of a level",
    group: "Network",
  },
  pool: {
    type: "string",
    choices: ["attention", "adaptive", "spatial", "spatial_v2"],
    default: "attention",
    help: "how features become one answer; adaptive is a mean over pixels",
    group: "Network",
  },
} as const;

export default command({
  name: "train-classifier",
  summary: "trains a classifier of noisy images, for classifier guidance (ADM, section 4.1)",
  usage: "",
  description:
    "Trains OpenAI's EncoderUNetModel to name the class of images at every noise level, and tells " +
    "its accuracy on held-out images for each tenth of the levels, from the least noise to the " +
    "most. It becomes the classifier of a model by its place: -o MODEL/classifier puts it into the " +
    "folder MODEL, where sample --guidance classifier finds it. Classes, size and noise schedule " +
    "must be the model's. A run is saved every --save-every steps and on Ctrl-C, and continues " +
    "exactly with --resume. With --clean it sees no noise, tells one accuracy and is saved in half " +
    "precision: evaluate measures samples by its features.",
  examples: [
    ["train-classifier --data mnist --size 32 -o runs/digits/classifier", "for the digits model"],
    ["train-classifier --data mnist --size 32 -o runs/digits/classifier --resume", "continues it"],
    ["sample runs/digits --class 7 --guidance classifier,scale=4", "uses it"],
    ["train-classifier --data photos/ --size 64 --clean -o runs/reader", "reads finished images"],
  ],
  flags,
  async run({ flags, io, given }) {
    await checkFolder(flags);
    const noise = ["schedule", "timesteps"] as const;
    const unused = flags.clean ? noise.find((flag) => given(flag)) : undefined;
    if (unused !== undefined) {
      throw new UsageError(`Cannot use --${unused} with --clean: there are no noise levels then`);
    }
    const { train: data, test, divided } = await usage(() =>
      openHalves(flags.data, { size: flags.size })
    );
    if (data.labels.length < 2) {
      throw new UsageError(
        `Cannot train a classifier on ${flags.data}: it has ${data.labels.length} classes; a folder needs one sub-folder for each`,
      );
    }
    const config = configOf(data, flags, given("attention"));
    const alphasCumprod = flags.clean ? CLEAN : alphasCumprodOf({
      beta_schedule: flags.schedule,
      beta_start: 1e-4,
      beta_end: 0.02,
      num_train_timesteps: flags.timesteps,
    });
    if (!flags.clean) await checkPlace(flags.out, config, alphasCumprod);
    if (divided) {
      io.warn(
        `${flags.data} has no test split: every twentieth image, ${test.length} in all, is held out to measure accuracy`,
      );
    }
    const engine = await trainingEngine(flags.engine);
    io.detail(`Computing on ${engine}`);
    const options = {
      alphasCumprod,
      prediction: "epsilon",
      weighting: { kind: "none" },
      labelled: true,
    } as const;
    const { seed, "batch-size": batchSize } = flags;
    const timesteps = alphasCumprod.length;
    const task = classifierTask(config, data, { ...options, seed, batchSize });
    const bands = flags.clean ? 1 : BANDS;
    const heldOut = {
      batch: makeBatches(test, { ...options, ...HELD_OUT }),
      batches: Math.min(HELD_OUT.batches, Math.ceil(bands * test.length / HELD_OUT.batchSize)),
      timesteps,
      bands,
    };
    return await trainingRun(flags, io, (options, hooks) =>
      train(task, options, {
        ...hooks,
        async onCheckpoint(_step, { specs, vector }, logged) {
          const tensors = await namedTensors(vector, specs);
          await saveClassifier(options.folder, config, tensors, flags.clean ? "F16" : "F32");
          if (!logged) return;
          const accuracies = await measure(config, tensors, heldOut, options.engine);
          const mean = accuracies.reduce((sum, share) => sum + share, 0) / accuracies.length;
          return {
            accuracy: round(mean),
            ...flags.clean ? {} : { bands: accuracies.map(round) },
          };
        },
      }), {
      config,
      data: flags.data,
      schedule: flags.clean ? "clean" : flags.schedule,
      timesteps,
    });
  },
});

/** The accuracy in each band of noise, on the engine of the training. */
async function measure(
  config: EncoderUNetConfig,
  tensors: ReadonlyMap<string, NewTensor>,
  heldOut: HeldOut,
  engine: Engine | undefined,
): Promise<number[]> {
  const weights = new Map(
    [...tensors].map(([name, { shape, values }]) =>
      [name, { name, shape, dtype: "F32", read: () => values }] as const
    ),
  );
  const own = engine ?? eagerEngine("training", "the backend of the training");
  const classify = own.compile((scope, x, t) => [
    encoderUNet(scope, config, x as tf.Tensor4D, t as tf.Tensor1D),
  ], weights);
  try {
    return await accuracyByBand(
      async (x, t) => {
        const [logits] = await classify(x, t);
        if (logits === undefined) throw new Error("The classifier gave nothing");
        return logits;
      },
      heldOut,
    );
  } finally {
    if (engine === undefined) await own.dispose();
  }
}

const round = (share: number) => Math.round(share * 1e4) / 1e4;

function configOf(
  data: Dataset,
  flags: {
    readonly width: number;
    readonly "channel-mult": string;
    readonly depth: number;
    readonly attention: string;
    readonly "head-dim": number;
    readonly pool: EncoderUNetConfig["pool"];
  },
  typed: boolean,
): EncoderUNetConfig {
  const multiples = widthsOf("channel-mult", flags["channel-mult"]);
  const edges = edgesOf(data, multiples.length);
  const attended = attendedOf(flags.attention, edges, typed);
  const values = {
    image_size: data.height,
    in_channels: data.channels,
    model_channels: flags.width,
    out_channels: data.labels.length,
    num_res_blocks: flags.depth,
    attention_resolutions: attended.map((edge) => data.height / edge),
    channel_mult: multiples,
    num_head_channels: flags["head-dim"],
    use_scale_shift_norm: true,
    pool: flags.pool,
  };
  return configFrom((path) => parseEncoderUNetConfig(values, path));
}

/** Where the classifier goes into a model's folder, it must read what that model draws. */
async function checkPlace(
  folder: string,
  config: EncoderUNetConfig,
  alphasCumprod: Float64Array,
): Promise<void> {
  const parent = dirname(resolve(folder));
  if (!folder.endsWith("classifier") || !await exists(join(parent, "unet", "config.json"))) return;
  const { name, unet, labels, scheduler } = openModel(parent);
  const mismatch = (what: string, its: string, ours: string) =>
    new UsageError(
      `Cannot train a classifier for ${name}: ${what} ${its} there and ${ours} here; choose another --out if it is not for this model`,
    );
  const { edge: size, inChannels: channels } = unet;
  const shape = (size: number | null, channels: number) => `${size}x${size}x${channels}`;
  const [there, here] = [
    shape(size, channels),
    shape(config.image_size, config.in_channels),
  ];
  if (there !== here) throw mismatch("images are", there, here);
  if (labels.length !== config.out_channels) {
    throw mismatch("the classes are", String(labels.length), String(config.out_channels));
  }
  const levels = alphasCumprodOf(scheduler);
  const same = levels.length === alphasCumprod.length &&
    levels.every((share, t) => Math.abs(share - (alphasCumprod[t] ?? 0)) < 1e-6);
  if (!same) {
    const { beta_schedule: schedule } = scheduler;
    throw mismatch("noise levels are", `${levels.length} of ${schedule}`, "others");
  }
}
