import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import type { Engine } from "../../../engines/engine.ts";
import { parseEncoderUNetConfig } from "../../../models/encoder_unet.ts";
import { readSafetensors } from "../../../models/safetensors.ts";
import { parseUNet2DConfig } from "../../../models/unet_2d.ts";
import { alphasCumprodOf } from "../../../schedules/mod.ts";
import { classifierTask } from "../../../training/classifier.ts";
import { diffusionTask } from "../../../training/diffusion.ts";
import type { NoisyBatch } from "../../../training/objective.ts";
import { type RunOptions, statePath, type Task, train } from "../../../training/train.ts";
import { stripes, TINY } from "../../training/_tiny.ts";
import { withEngine } from "./_compare.ts";

const batches = {
  seed: 1,
  batchSize: 4,
  alphasCumprod: alphasCumprodOf({ beta_schedule: "squaredcos_cap_v2" }),
  prediction: "v_prediction",
  weighting: { kind: "min-snr", gamma: 5 },
  labelled: true,
} as const;

const hybrid = diffusionTask(
  parseUNet2DConfig(
    { ...TINY, out_channels: 2, resnet_time_scale_shift: "scale_shift" },
    "the test",
  ),
  stripes(20),
  {
    ...batches,
    labelDrop: { nullClass: 2, share: 0.1 },
    objective: "hybrid",
    variance: "learned_range",
    vlbWeight: 0.001,
  },
);

const classifier = classifierTask(
  parseEncoderUNetConfig({
    image_size: 8,
    in_channels: 1,
    model_channels: 32,
    out_channels: 2,
    num_res_blocks: 1,
    attention_resolutions: [1],
    channel_mult: [1],
    num_head_channels: 4,
    use_scale_shift_norm: true,
    resblock_updown: true,
    pool: "attention",
  }, "the test"),
  stripes(20),
  batches,
);

const STEPS = 10;

function optionsOf(folder: string, change: Partial<RunOptions>): RunOptions {
  const optimizer = {
    steps: STEPS,
    learningRate: 0.01,
    warmup: 2,
    decay: "cosine",
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0.01,
    clip: 1,
    ema: 0.9,
  } as const;
  return {
    folder,
    seed: 1,
    resume: false,
    settings: { optimizer },
    optimizer,
    logEvery: STEPS,
    saveEvery: STEPS,
    ...change,
  };
}

/** Trains, until a step if it is given, and returns the loss of each step made. */
async function lossesOf(
  task: Task<NoisyBatch>,
  folder: string,
  change: Partial<RunOptions>,
  last = STEPS,
): Promise<number[]> {
  const controller = new AbortController();
  const losses: number[] = [];
  const made = await train(task, optionsOf(folder, { signal: controller.signal, ...change }), {
    onStep(step, loss) {
      losses.push(loss);
      if (step === last) controller.abort();
    },
  });
  assertEquals(made, last);
  return losses;
}

/** What a run keeps for its continuation. */
function partsOf(folder: string): Record<string, Float32Array> {
  const { tensors } = readSafetensors(statePath(folder));
  return Object.fromEntries([...tensors].map(([name, stored]) => [name, stored.read()]));
}

function assertNear(actual: readonly number[], expected: readonly number[], name: string): void {
  assertEquals(actual.length, expected.length, name);
  expected.forEach((loss, step) =>
    assertAlmostEquals(actual[step] ?? NaN, loss, 1e-3 * Math.abs(loss), `${name}, step ${step}`)
  );
}

async function withFolder(check: (engine: Engine, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await withEngine((engine) => check(engine, folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("onnx engine trains a UNet as cpu does, and each resumes the other's run", () =>
  withFolder(async (engine, folder) => {
    const at = (run: string) => join(folder, run);
    const expected = await lossesOf(hybrid, at("cpu"), {});
    assert((expected.at(-1) ?? NaN) < 0.9 * (expected[0] ?? NaN), expected.join(" "));
    assertNear(await lossesOf(hybrid, at("onnx"), { engine }), expected, "onnx");
    const [state, other] = [partsOf(at("cpu")), partsOf(at("onnx"))];
    assertEquals(Object.keys(other), ["weights", "mean", "square", "average"]);
    for (const part of ["weights", "average"]) {
      const far = state[part]?.reduce(
        (most, value, index) => Math.max(most, Math.abs(value - (other[part]?.[index] ?? NaN))),
        0,
      );
      assert(far !== undefined && far < 0.02, `${part} differ by ${far}`);
    }
    for (
      const [run, before, after] of [["there", undefined, engine], ["back", engine]] as const
    ) {
      const first = await lossesOf(hybrid, at(run), { engine: before }, 4);
      const rest = await lossesOf(hybrid, at(run), { engine: after, resume: true });
      assertNear([...first, ...rest], expected, run);
    }
  }));

Deno.test("onnx engine trains a classifier as cpu does", () =>
  withFolder(async (engine, folder) => {
    const expected = await lossesOf(classifier, join(folder, "cpu"), {}, 4);
    assertNear(await lossesOf(classifier, join(folder, "onnx"), { engine }, 4), expected, "onnx");
  }));

Deno.test("onnx engine leaves a run whole where its loss is not a number", () =>
  withFolder(async (engine, folder) => {
    const wild = { ...optionsOf(folder, {}).optimizer, learningRate: 1e30, warmup: 0, clip: 1e9 };
    await assertRejects(
      () => train(hybrid, optionsOf(folder, { engine, optimizer: wild, saveEvery: 1 })),
      Error,
      "lower --lr",
    );
    assert(partsOf(folder)["weights"]?.every(Number.isFinite));
  }));

Deno.test("onnx engine keeps the count of tensors and the memory flat over steps", () =>
  withFolder(async (engine, folder) => {
    const counts = new Set<number>();
    const controller = new AbortController();
    const optimizer = { ...optionsOf(folder, {}).optimizer, steps: 40 };
    const memory: number[] = [];
    await train(hybrid, optionsOf(folder, { engine, optimizer, signal: controller.signal }), {
      onStep(step) {
        counts.add(tf.memory().numTensors);
        if (step >= 10) memory.push(Deno.memoryUsage().rss);
      },
    });
    assertEquals([counts.size, memory.length], [1, 31]);
    const grown = (memory.at(-1) ?? NaN) - (memory[0] ?? NaN);
    assert(grown < 32e6, `${grown} bytes more after 30 steps`);
  }));
