import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { readSafetensors } from "../../models/safetensors.ts";
import { parseUNet2DConfig } from "../../models/unet_2d.ts";
import { alphasCumprodOf } from "../../schedules/mod.ts";
import { type DiffusionOptions, diffusionTask } from "../../training/diffusion.ts";
import { makeBatches } from "../../training/batches.ts";
import { addNoise, type NoisyBatch } from "../../training/objective.ts";
import type { Scope } from "../../models/scope.ts";
import { secondMoment } from "../../training/timesteps/mod.ts";
import {
  drawnValues,
  type Hooks,
  type LogLine,
  type OptimizerSettings,
  type RunOptions,
  statePath,
  type Task,
  train,
} from "../../training/train.ts";
import { onCpu, stripes, TINY } from "./_tiny.ts";

const config = parseUNet2DConfig(TINY, "the test");

const OPTIONS: DiffusionOptions = {
  seed: 1,
  batchSize: 4,
  alphasCumprod: alphasCumprodOf({ beta_schedule: "squaredcos_cap_v2" }),
  prediction: "v_prediction",
  weighting: { kind: "min-snr", gamma: 5 },
  objective: "simple",
  variance: "small",
  vlbWeight: 0.001,
  labelled: true,
  labelDrop: { nullClass: 2, share: 0.1 },
};

const task = diffusionTask(config, stripes(20), OPTIONS);

const optimizer: OptimizerSettings = {
  steps: 5,
  learningRate: 0.02,
  warmup: 1,
  decay: "cosine",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0.01,
  clip: 1,
  ema: 0.9,
};

const options = (folder: string, change: Partial<RunOptions> = {}): RunOptions => ({
  folder,
  seed: 1,
  resume: false,
  settings: { config, optimizer },
  optimizer,
  logEvery: 1,
  saveEvery: 100,
  ...change,
});

/** Hooks that stop the run after a step, as Ctrl-C does. */
function stopAfter(last: number): { hooks: Hooks; signal: AbortSignal } {
  const controller = new AbortController();
  const hooks = { onStep: (step: number) => step === last && controller.abort() };
  return { hooks, signal: controller.signal };
}

const logOf = async (folder: string) =>
  (await Deno.readTextFile(join(folder, "training", "log.jsonl"))).trimEnd().split("\n")
    .map((line): Omit<LogLine, "seconds"> => ({ ...JSON.parse(line), seconds: 0 }));

/** Equality bit for bit, without the diff of a million numbers that an assertion would print. */
function same(a: Uint8Array | Float32Array, b: Uint8Array | Float32Array): boolean {
  return a.length === b.length && a.every((value, index) => Object.is(value, b[index]));
}

async function inFolder(check: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await onCpu(() => check(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("train() lowers the loss, and a resumed run equals the uninterrupted one", () =>
  inFolder(async (folder) => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    const losses: number[] = [];
    const checkpoints: [number, boolean][] = [];
    const made = await train(task, options(whole), {
      onStep: (step, loss) => losses[step - 1] = loss,
      onCheckpoint(step, { specs, vector }, logged) {
        checkpoints.push([step, logged]);
        assertEquals(
          vector.size,
          specs.reduce((sum, { shape }) => sum + tf.util.sizeFromShape([...shape]), 0),
        );
        return Promise.resolve({ measured: 7, bands: [1, 2] });
      },
    });
    assertEquals([made, losses.length, checkpoints], [5, 5, [[5, true]]]);
    assert(losses[4]! < 0.8 * losses[0]!, losses.join(" "));

    const { hooks, signal } = stopAfter(2);
    const stopped: [number, boolean][] = [];
    const first = await train(task, options(parts, { signal }), {
      ...hooks,
      onCheckpoint: (step, _, logged) => Promise.resolve(void stopped.push([step, logged])),
    });
    assertEquals([first, stopped, (await logOf(parts)).length], [2, [[2, false]], 2]);
    const second = await train(task, options(parts, { resume: true }), {
      onCheckpoint: () => Promise.resolve({ measured: 7, bands: [1, 2] }),
    });
    assertEquals(second, 5);
    assert(same(await Deno.readFile(statePath(parts)), await Deno.readFile(statePath(whole))));
    assertEquals(await logOf(parts), await logOf(whole));
    const last = (await logOf(whole)).at(-1)!;
    assertEquals([last.step, last["measured"], last["bands"]], [5, 7, [1, 2]]);

    // The average lags behind the weights, and both have moved.
    const { tensors, metadata } = readSafetensors(statePath(whole));
    assertEquals(metadata["step"], "5");
    assert(!same(tensors.get("average")!.read(), tensors.get("weights")!.read()));

    // A finished run has nothing left to do.
    assertEquals(await train(task, options(whole, { resume: true })), 5);
    assertEquals((await logOf(whole)).length, 5);
  }));

Deno.test("train() keeps what importance sampling has learned over a resumption", () =>
  inFolder(async (folder) => {
    // Four timesteps have their ten losses after ten batches of four.
    const STEPS = 14;
    const makeTask = (): Task<NoisyBatch> => {
      const batch = makeBatches(stripes(20), {
        ...OPTIONS,
        alphasCumprod: new Float64Array([0.95, 0.6, 0.2, 0.01]),
        timesteps: secondMoment(4),
      });
      const scale = (scope: Scope) => scope.parameter("scale", [1], "same", { constant: 0.5 });
      return {
        probe: scale,
        batch,
        memory: batch.memory,
        loss(scope, noisy) {
          const error = tf.sub(tf.mul(addNoise(noisy), scale(scope)), noisy.eps);
          const losses = tf.mean<tf.Tensor1D>(tf.mul(error, error), [1, 2, 3]);
          return tf.mul(losses, noisy.importance!);
        },
      };
    };
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    const run = { optimizer: { ...optimizer, steps: STEPS } };
    const first = makeTask();
    await train(first, options(whole, run));
    const [seen] = first.memory!.save();
    assertEquals(seen, 10, "the sampler never became warm");
    const { hooks, signal } = stopAfter(12);
    await train(makeTask(), options(parts, { ...run, signal }), hooks);
    await train(makeTask(), options(parts, { ...run, resume: true }));
    assert(same(await Deno.readFile(statePath(parts)), await Deno.readFile(statePath(whole))));
  }));

Deno.test("train() refuses to resume importance sampling without its losses", () =>
  inFolder(async (folder) => {
    const { hooks, signal } = stopAfter(1);
    await train(task, options(folder, { signal }), hooks);
    const learning = { ...task, memory: secondMoment(1000).memory };
    await assertRejects(
      () => train(learning, options(folder, { resume: true })),
      Error,
      "it has no losses by timestep",
    );
  }));

Deno.test("train() starts from the values that it is given", () =>
  inFolder(async (folder) => {
    let given: Float32Array | undefined;
    const { hooks, signal } = stopAfter(1);
    const still = { ...optimizer, learningRate: 0, weightDecay: 0 };
    await train(
      task,
      options(folder, {
        signal,
        optimizer: still,
        start: (specs) =>
          Promise.resolve(given = drawnValues(specs, 1).map((value) => value + 0.25)),
      }),
      hooks,
    );
    const { tensors } = readSafetensors(statePath(folder));
    assert(same(tensors.get("weights")!.read(), given!));
    tensors.get("average")!.read().forEach((value, i) =>
      assertAlmostEquals(value, given![i]!, 1e-6 * Math.abs(given![i]!))
    );
  }));

Deno.test("train() with the same seed starts alike, with another one differently", () =>
  inFolder(async (folder) => {
    const states: Float32Array[] = [];
    for (const [index, seed] of [1, 1, 2].entries()) {
      const run = join(folder, String(index));
      const { hooks, signal } = stopAfter(1);
      await train(task, options(run, { seed, signal }), hooks);
      states.push(readSafetensors(statePath(run)).tensors.get("weights")!.read());
    }
    assert(same(states[0]!, states[1]!));
    assert(!same(states[0]!, states[2]!));
  }));

Deno.test("train() writes a line of the log for as many steps as it is told, and at checkpoints", () =>
  inFolder(async (folder) => {
    const lines: number[] = [];
    const saved: number[] = [];
    const losses: number[] = [];
    const rare = { ...options(folder, { logEvery: 2, saveEvery: 3 }) };
    await train(task, rare, {
      onStep: (_, loss) => losses.push(loss),
      onLog: ({ step }) => lines.push(step),
      onCheckpoint: (step) => Promise.resolve(void saved.push(step)),
    });
    assertEquals([lines, saved], [[2, 3, 4, 5], [3, 5]]);
    const log = await logOf(folder);
    assertEquals(log.map(({ step }) => step), lines);
    assertEquals(log[0]!.loss, Number(((losses[0]! + losses[1]!) / 2).toPrecision(6)));
    assertEquals(log[1]!.loss, Number(losses[2]!.toPrecision(6)));
  }));

Deno.test("train() drops what was logged after the checkpoint that it resumes from", () =>
  inFolder(async (folder) => {
    const { hooks, signal } = stopAfter(1);
    await train(task, options(folder, { signal }), hooks);
    const path = join(folder, "training", "log.jsonl");
    await Deno.writeTextFile(path, '{"step":2,"loss":9}\n{"step":3,"lo', { append: true });
    await train(task, options(folder, { resume: true }));
    const log = await logOf(folder);
    assertEquals(log.map(({ step }) => step), [1, 2, 3, 4, 5]);
    assert(log[1]!.loss !== 9);
  }));

Deno.test("train() refuses to resume with other settings, another network or a damaged file", () =>
  inFolder(async (folder) => {
    const { hooks, signal } = stopAfter(1);
    await train(task, options(folder, { signal }), hooks);
    const resume = (change: Partial<RunOptions>, changed = task) =>
      train(changed, options(folder, { resume: true, ...change }));
    const error = await assertRejects(
      () => resume({ settings: { config, optimizer: { ...optimizer, learningRate: 1 } } }),
      Error,
      "Cannot resume from",
    );
    assertStringIncludes(error.message, 'optimizer was {"steps":5,"learningRate":0.02');
    assertStringIncludes(error.message, 'now it is {"steps":5,"learningRate":1');
    const wider = { ...config, block_out_channels: [8, 16] };
    const other = diffusionTask(wider, stripes(20), OPTIONS);
    await assertRejects(() => resume({}, other), Error, "parameters, the network has");

    const path = statePath(folder);
    const whole = await Deno.readFile(path);
    for (const length of [0, 5, 100, 400, whole.length - 4]) {
      await Deno.writeFile(path, whole.subarray(0, length));
      await assertRejects(() => resume({}), Error, "as safetensors");
    }
    const text = new TextDecoder("latin1").decode(whole.subarray(0, 2000));
    const at = text.indexOf('"step":"1"') + '"step":"'.length;
    const damaged = whole.slice();
    damaged[at] = "x".charCodeAt(0);
    await Deno.writeFile(path, damaged);
    await assertRejects(() => resume({}), Error, "its step is x");
    damaged.set(whole);
    damaged[text.indexOf("settings") + 'settings":"'.length] = "[".charCodeAt(0);
    await Deno.writeFile(path, damaged);
    await assertRejects(() => resume({}), Error, "its settings are not JSON");
    await Deno.remove(path);
    await assertRejects(() => resume({}), Deno.errors.NotFound);

    // None of this harmed the log.
    assertEquals((await logOf(folder)).length, 1);
  }));

Deno.test("train() ends with one sentence where the loss is not a number, and keeps what it saved", () =>
  inFolder(async (folder) => {
    const wild = { ...optimizer, learningRate: 1e30, warmup: 0, clip: 1e9 };
    const error = await assertRejects(
      () => train(task, options(folder, { optimizer: wild, saveEvery: 1 })),
      Error,
      "lower --lr",
    );
    assert(
      /^Cannot go on from step \d: its loss is (NaN|-?Infinity|[\d.e+]+) and/.test(error.message),
      error.message,
    );
    const { metadata } = readSafetensors(statePath(folder));
    const steps = Number(metadata["step"]);
    assert(error.message.includes(`from step ${steps}:`), `${error.message} after ${steps}`);
    const poisoned: typeof task = {
      ...task,
      loss: (scope, batch) => tf.mul(task.loss(scope, batch), NaN),
    };
    await assertRejects(
      () => train(poisoned, options(join(folder, "other"))),
      Error,
      "Cannot go on from step 0: its loss is NaN",
    );
  }));

Deno.test("train() that is stopped before its first step saves nothing", () =>
  inFolder(async (folder) => {
    const made = await train(task, options(folder, { signal: AbortSignal.abort() }));
    assertEquals(made, 0);
    await assertRejects(() => Deno.stat(statePath(folder)), Deno.errors.NotFound);
  }));
