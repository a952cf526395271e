/**
 * The training loop of denoising networks (DDPM, Algorithm 1).
 *
 * @module
 */
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Engine } from "../engines/engine.ts";
import { writeAtomic } from "../images/atomic.ts";
import type { ParameterSpec, Scope } from "../models/scope.ts";
import { philoxAt } from "../noise/mod.ts";
import { averageDecay, learningRate, type RateDecay } from "./adamw.ts";
import { freshParts, loadCheckpoint, type Parts, saveCheckpoint } from "./checkpoint.ts";
import { recordParameters, startValues, totalSize } from "./parameters.ts";
import { type Batch, stepperOf } from "./step.ts";
import type { SamplerMemory } from "./timesteps/mod.ts";

/** How weights move; the same for every network. */
export interface OptimizerSettings {
  readonly steps: number;
  readonly learningRate: number;
  readonly warmup: number;
  readonly decay: RateDecay;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** Largest norm of the gradient. */
  readonly clip: number;
  /** Decay of the moving average of weights. */
  readonly ema: number;
}

/** A network and its loss, as the loop sees them. */
export interface Task<B extends Batch> {
  /** Builds the network once on zeros, so that its parameters are known. */
  probe(scope: Scope): unknown;
  /**
   * The batch of a step; the same step always has the same batch. Where there is a memory, it is
   * that of the steps before.
   */
  batch(step: number): Promise<B>;
  /** What the batches learn from the losses. */
  readonly memory?: SamplerMemory | undefined;
  /** The loss of each image, `[batch]`. */
  loss(scope: Scope, batch: B): tf.Tensor1D;
}

/** What every batch of a {@linkcode Task} with a memory has. */
interface Remembered {
  readonly t?: tf.Tensor | undefined;
  readonly importance?: tf.Tensor | undefined;
}

/** One line of the log. */
export interface LogLine {
  readonly step: number;
  /** Mean loss since the last line. */
  readonly loss: number;
  /** Mean norm of the gradient since the last line. */
  readonly norm: number;
  readonly rate: number;
  /** Seconds of training so far, over all sessions. */
  readonly seconds: number;
  /** Whatever else was measured at this step. */
  readonly [extra: string]: number | readonly number[];
}

/** What the loop tells its caller. */
export interface Hooks {
  /** After every step. */
  onStep?(step: number, loss: number): void;
  /** After every line of the log. */
  onLog?(line: LogLine): void;
  /**
   * After each checkpoint: writes the model, draws a sheet, measures. What it returns is logged,
   * unless `logged` is false: then the run was interrupted, and somebody waits for its end.
   */
  onCheckpoint?(
    step: number,
    average: Averaged,
    logged: boolean,
  ): Promise<Record<string, number | number[]> | void>;
}

/** The moving average of the weights and the names of its parts. */
export interface Averaged {
  readonly specs: readonly ParameterSpec[];
  readonly vector: tf.Tensor1D;
}

/** Where and how a run is kept. */
export interface RunOptions {
  /** The folder of the run; its state is `training/state.safetensors` in it. */
  readonly folder: string;
  readonly seed: number;
  readonly resume: boolean;
  /** What is saved beside the state and must be the same when the run is resumed. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly optimizer: OptimizerSettings;
  readonly logEvery: number;
  readonly saveEvery: number;
  /** The weights that the run starts from; drawn from the seed where absent. */
  readonly start?: ((specs: readonly ParameterSpec[]) => Promise<Float32Array>) | undefined;
  /**
   * What computes; the current tfjs backend where absent. No setting: a run may be resumed on
   * another one.
   */
  readonly engine?: Engine | undefined;
  /** Ends the run after the current step; the state is saved. */
  readonly signal?: AbortSignal | undefined;
}

/** The stream of start values of a parameter: FNV-1a of its name. */
function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** Start values of parameters, each from its own stream of the seed. */
export function drawnValues(specs: readonly ParameterSpec[], seed: number): Float32Array {
  return startValues(specs, {
    uniform: (name, count) => philoxAt(seed, streamOf(name)).uniform(count),
    normal: (name, count) => philoxAt(seed, streamOf(name)).normal(count),
  });
}

/** Where a run keeps its state. */
export function statePath(folder: string): string {
  return join(folder, "training", "state.safetensors");
}

/**
 * Trains until the last step or an interruption, with checkpoints from which it resumes exactly.
 *
 * @returns The steps made, over all sessions.
 * @throws {Error} Where the loss is not a number, or the run in the folder is another one.
 */
export async function train<B extends Batch>(
  task: Task<B>,
  options: RunOptions,
  hooks: Hooks = {},
): Promise<number> {
  const { folder, optimizer, settings, signal } = options;
  const specs = recordParameters((scope) => task.probe(scope));
  const path = statePath(folder);
  const log = await openLog(join(folder, "training", "log.jsonl"));
  let start: Parts;
  let step = 0;
  let before = 0; // seconds of earlier sessions
  if (options.resume) {
    const saved = loadCheckpoint(path, totalSize(specs));
    assertSame(settings, saved.settings, path);
    start = saved.parts;
    step = saved.step;
    if (task.memory !== undefined) {
      if (saved.memory === undefined) {
        throw new Error(`Cannot resume from "${path}": it has no losses by timestep`);
      }
      task.memory.restore(saved.memory);
    }
    before = await log.rewind(step);
  } else {
    start = freshParts(await options.start?.(specs) ?? drawnValues(specs, options.seed));
    await log.rewind(0);
  }
  const stepper = stepperOf(
    (scope, batch: B) => task.loss(scope, batch),
    specs,
    start,
    options.engine,
  );
  const started = performance.now();
  let [losses, norms, count] = [0, 0, 0];
  const save = async (logged: boolean) => {
    const parts = await stepper.parts();
    await saveCheckpoint(path, { step, settings, parts, memory: task.memory?.save() });
    const vector = tf.tensor1d(parts.average);
    try {
      return await hooks.onCheckpoint?.(step, { specs, vector }, logged) ?? {};
    } finally {
      vector.dispose();
    }
  };
  try {
    while (step < optimizer.steps && !signal?.aborted) {
      const batch = await task.batch(step);
      const rates = {
        ...optimizer,
        learningRate: learningRate(step, { ...optimizer, rate: optimizer.learningRate }),
        decay: averageDecay(optimizer.ema, step),
        step,
      };
      const made = await stepper.step(batch, rates);
      const { loss, norm } = made;
      if (task.memory !== undefined) await observe(task.memory, batch, made.losses);
      tf.dispose(Object.values(batch));
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
        throw new Error(
          `Cannot go on from step ${step}: its loss is ${loss} and its gradient's norm ${norm}; lower --lr or raise --warmup (what is saved is whole)`,
        );
      }
      step++;
      losses += loss;
      norms += norm;
      count++;
      hooks.onStep?.(step, loss);
      const saving = step % options.saveEvery === 0 || step === optimizer.steps;
      if (step % options.logEvery === 0 || saving) {
        const extra = saving ? await save(true) : {};
        const seconds = Math.round(before + (performance.now() - started) / 1000);
        const line = {
          step,
          loss: round(losses / count),
          norm: round(norms / count),
          rate: round(rates.learningRate),
          seconds,
          ...extra,
        };
        await log.write(line);
        hooks.onLog?.(line);
        [losses, norms, count] = [0, 0, 0];
      }
    }
    if (signal?.aborted && step < optimizer.steps && step % options.saveEvery !== 0) {
      await save(false);
    }
    return step;
  } finally {
    await stepper.dispose();
  }
}

/** Tells a memory the losses of a batch, without the importance that they were weighed with. */
async function observe(
  memory: SamplerMemory,
  { t, importance }: Remembered,
  losses: readonly number[],
): Promise<void> {
  const times = await t?.data() ?? [];
  const weights = await importance?.data() ?? [];
  memory.observe(times, losses.map((loss, index) => loss / (weights[index] ?? 1)));
}

const round = (value: number) => Number(value.toPrecision(6));

/** The log as JSON lines; a resumed run drops the lines after its checkpoint. */
async function openLog(path: string) {
  let text = "";
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return {
    /** Keeps the lines up to a step and returns the seconds trained by then. */
    async rewind(step: number): Promise<number> {
      const lines = text.split("\n").filter((line) => {
        try {
          return line !== "" && (JSON.parse(line) as LogLine).step <= step;
        } catch {
          return false; // cut off by a crash
        }
      });
      await writeAtomic(path, lines.map((line) => line + "\n").join(""));
      const last = lines.at(-1);
      return last === undefined ? 0 : (JSON.parse(last) as LogLine).seconds;
    },
    write: (line: LogLine) =>
      Deno.writeTextFile(path, JSON.stringify(line) + "\n", { append: true }),
  };
}

/** Refuses to continue a run with other settings: the result would be neither of the two. */
function assertSame(
  settings: Readonly<Record<string, unknown>>,
  saved: unknown,
  path: string,
): void {
  const old = (saved ?? {}) as Record<string, unknown>;
  for (const [name, value] of Object.entries(settings)) {
    if (JSON.stringify(value) === JSON.stringify(old[name])) continue;
    throw new Error(
      `Cannot resume from "${path}": ${name} was ${JSON.stringify(old[name])}, now it is ${
        JSON.stringify(value)
      }; leave it as it was, or start another run with another --out`,
    );
  }
}
