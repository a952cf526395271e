/** What `train` and `train-classifier` share: their flags, the engine, the progress bar. */
import { ensureDir, exists } from "@std/fs";
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import { openEngine } from "../engines/mod.ts";
import { BETA_SCHEDULES } from "../schedules/mod.ts";
import type { Dataset } from "../training/data/dataset.ts";
import type { Hooks, LogLine, RunOptions } from "../training/train.ts";
import { statePath } from "../training/train.ts";
import { type Flags, UsageError, type Values } from "./_command.ts";
import type { Io } from "./_io.ts";
import { progressBar } from "./_progress.ts";

/** The defaults in which the two commands differ. */
export interface TrainingDefaults {
  readonly steps: number;
  readonly batchSize: number;
  readonly rate: number;
  readonly folder: string;
  readonly headDim: number;
}

/** The flags of both commands. */
export function trainingFlags({ steps, batchSize, rate, folder, headDim }: TrainingDefaults) {
  return {
    data: {
      type: "string",
      default: "mnist",
      value: "DATA",
      complete: "folder",
      help: "mnist, an IDX or npz file, or a folder with one sub-folder a class",
    },
    size: { type: "integer", min: 4, help: "edge of the images in pixels; the data's own without" },
    out: {
      type: "string",
      alias: "o",
      default: folder,
      value: "FOLDER",
      complete: "folder",
      help: "where the model, its checkpoints and its log go",
    },
    resume: { type: "flag", help: "continue the run in --out, with the options it began with" },
    engine: {
      type: "string",
      default: "auto",
      choices: ["auto", "tensorflow", "onnx", "cpu"],
      help: "what computes; tensorflow where deno task native has set it up, else onnx",
    },
    seed: { type: "integer", default: 0, min: 0, help: "of start weights, order and noise" },
    steps: { type: "integer", default: steps, min: 1, help: "steps of the whole run" },
    "batch-size": { type: "integer", default: batchSize, min: 1, help: "images a step" },
    lr: { type: "number", default: rate, min: 0, help: "learning rate", group: "Optimizer" },
    warmup: {
      type: "integer",
      default: 200,
      min: 0,
      help: "steps over which the learning rate rises",
      group: "Optimizer",
    },
    "lr-decay": {
      type: "string",
      default: "cosine",
      choices: ["constant", "linear", "cosine"],
      help: "how it falls afterwards, to zero at the last step",
      group: "Optimizer",
    },
    "weight-decay": { type: "number", default: 0, min: 0, help: "of AdamW", group: "Optimizer" },
    clip: {
      type: "number",
      default: 1,
      min: 0.001,
      help: "largest norm of the gradient",
      group: "Optimizer",
    },
    ema: {
      type: "number",
      default: 0.999,
      min: 0,
      max: 0.99999,
      help: "decay of the moving average of weights, which is what is saved",
      group: "Optimizer",
    },
    schedule: {
      type: "string",
      default: "squaredcos_cap_v2",
      choices: Object.keys(BETA_SCHEDULES) as (keyof typeof BETA_SCHEDULES)[],
      help: "noise schedule; squaredcos_cap_v2 is cosine",
      group: "Objective",
    },
    timesteps: { type: "integer", default: 1000, min: 2, help: "noise levels", group: "Objective" },
    attention: {
      type: "string",
      default: "8",
      value: "N,N,…",
      help: "resolutions with self-attention, in pixels, or none",
      group: "Network",
    },
    "head-dim": {
      type: "integer",
      default: headDim,
      min: 1,
      help: "channels of an attention head",
      group: "Network",
    },
    "save-every": { type: "integer", default: 500, min: 1, help: "steps between checkpoints" },
    "log-every": { type: "integer", default: 50, min: 1, help: "steps between lines of the log" },
  } as const satisfies Flags;
}

type TrainingValues = Values<ReturnType<typeof trainingFlags>>;

/**
 * Chooses what computes a training, and makes its tfjs backend current.
 *
 * @returns What it is, for people, and why.
 * @throws {Error} Where it is not there.
 */
export async function trainingEngine(name: TrainingValues["engine"]): Promise<string> {
  tf.enableProdMode(); // silences tfjs' advertisement of its other backends
  let why = "";
  if (name === "auto" || name === "tensorflow") {
    const { loadTensorflow } = await import("../engines/tensorflow.ts");
    try {
      const { version, gpu } = await loadTensorflow();
      return `libtensorflow ${version} on the ${gpu ? "GPU" : "CPU"}${
        name === "auto" ? ", because it is installed" : ""
      }`;
    } catch (error) {
      if (name === "tensorflow") throw error;
      why = ` (${error instanceof Error ? error.message : error})`;
    }
  }
  await tf.setBackend("cpu");
  return name === "cpu"
    ? "plain JavaScript, which is slow"
    : `ONNX Runtime, a whole step as one graph${why}`;
}

/** The engine that takes a whole step, where {@linkcode trainingEngine} chose one. */
async function stepEngine(name: TrainingValues["engine"]): Promise<Engine | undefined> {
  if (name === "cpu" || tf.getBackend() !== "cpu") return undefined;
  return await openEngine("onnx");
}

/** A list of counts such as `32,64,64`. */
export function widthsOf(flag: string, text: string): number[] {
  const widths = text.split(",").map(Number);
  if (widths.every((width) => Number.isSafeInteger(width) && width >= 1)) return widths;
  throw new UsageError(`Cannot use --${flag} ${text}: it must be integers such as 32,64,64`);
}

/**
 * Sees that a run is there where one is continued, and only there.
 *
 * @throws {UsageError} Else.
 */
export async function checkFolder({ out: folder, resume }: TrainingValues): Promise<void> {
  const there = await exists(statePath(folder));
  if (resume && !there) {
    throw new UsageError(`Cannot resume: ${folder} holds no run; leave --resume out to start one`);
  }
  if (!resume && there) {
    throw new UsageError(
      `Cannot start a run in ${folder}: it holds one already; continue it with --resume, or choose another --out`,
    );
  }
}

/**
 * The resolutions of a network's levels, each half of the one before.
 *
 * @throws {UsageError} Where the images have no such halves.
 */
export function edgesOf({ height, width }: Dataset, levels: number): number[] {
  const edges = Array.from({ length: levels }, (_, level) => height / 2 ** level);
  if (height === width && edges.every(Number.isInteger)) return edges;
  throw new UsageError(
    `Cannot train ${levels} levels on images of ${width}x${height}: they must be squares whose edge divides by ${
      2 ** (levels - 1)
    }; give another --size`,
  );
}

/**
 * The resolutions with self-attention.
 *
 * @param typed False where the list is the default, of which a network takes what it has.
 */
export function attendedOf(text: string, edges: readonly number[], typed: boolean): number[] {
  const attended = text === "none" ? [] : widthsOf("attention", text);
  const other = attended.find((edge) => !edges.includes(edge));
  if (other === undefined || !typed) return attended.filter((edge) => edges.includes(edge));
  throw new UsageError(
    `Cannot use --attention ${other}: the levels have the resolutions ${edges.join(", ")}`,
  );
}

/** A network's configuration out of options: where it does not fit, they are at fault. */
export function configFrom<C>(parse: (path: string) => C): C {
  try {
    return parse("the options");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message.replace('"the options"', "these options"), { cause: error });
  }
}

/** Runs a training with its progress bar and its messages; resolves to the exit status. */
export async function trainingRun(
  flags: TrainingValues,
  io: Io,
  train: (options: RunOptions, hooks: Hooks) => Promise<number>,
  settings: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { out: folder, resume, steps } = flags;
  await ensureDir(folder);
  const optimizer = {
    steps,
    learningRate: flags.lr,
    warmup: flags.warmup,
    decay: flags["lr-decay"],
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: flags["weight-decay"],
    clip: flags.clip,
    ema: flags.ema,
  };
  const engine = await stepEngine(flags.engine);
  const bar = progressBar(io, steps, "step");
  const tell = (line: LogLine) => {
    const { step, loss, norm, rate, seconds, ...extra } = line;
    const more = Object.entries(extra)
      .map(([name, value]) => `, ${name} ${typeof value === "number" ? value : value.join(" ")}`)
      .join("");
    bar.log(
      `step ${step} of ${steps}: loss ${loss}, gradient ${norm}, rate ${rate}, ${seconds} s${more}`,
    );
  };
  try {
    const made = await train({
      folder,
      seed: flags.seed,
      resume,
      settings: {
        ...settings,
        seed: flags.seed,
        batchSize: flags["batch-size"],
        size: flags.size ?? null,
        optimizer,
      },
      optimizer,
      logEvery: flags["log-every"],
      saveEvery: flags["save-every"],
      engine,
      signal: io.signal,
    }, {
      onStep: (step, loss) => bar.update(step, `loss ${loss.toFixed(4)}`),
      onLog: tell,
    });
    bar.stop();
    if (io.signal.aborted && made < steps) {
      io.log(
        made === 0
          ? "Stopped before the first step"
          : `Stopped after step ${made}; all of it is saved. Continue with --resume`,
      );
      throw io.signal.reason;
    }
    io.log(`Trained ${made} steps; the model is in ${folder}`);
    return 0;
  } finally {
    bar.stop();
    await engine?.dispose();
  }
}
