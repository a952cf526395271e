import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { scopeOf } from "../../models/scope.ts";
import { encoderUNet, parseEncoderUNetConfig } from "../../models/encoder_unet.ts";
import { type BatchOptions, makeBatches } from "../../training/batches.ts";
import { accuracyByBand, BANDS, classifierTask } from "../../training/classifier.ts";
import { freshState } from "../../training/checkpoint.ts";
import { recordParameters, scopeOver, startValues, unflatten } from "../../training/parameters.ts";
import { trainingStep } from "../../training/step.ts";
import { philoxAt } from "../../noise/mod.ts";
import { onCpu, stripes } from "./_tiny.ts";

const config = parseEncoderUNetConfig({
  image_size: 4,
  in_channels: 1,
  model_channels: 32,
  out_channels: 2,
  num_res_blocks: 1,
  attention_resolutions: [],
  channel_mult: [1],
  pool: "attention",
}, "the test");

const OPTIONS: BatchOptions = {
  seed: 4,
  batchSize: 10,
  alphasCumprod: new Float64Array(1000).fill(0.8),
  prediction: "epsilon",
  weighting: { kind: "none" },
  labelled: true,
};

Deno.test("classifierTask() learns to name the class of noisy images", () =>
  onCpu(async () => {
    const task = classifierTask(config, stripes(40, 4), OPTIONS);
    const specs = recordParameters((scope) => task.probe(scope));
    let state = freshState(startValues(specs, {
      uniform: (name, count) => philoxAt(1, name.length).uniform(count),
      normal: (name, count) => philoxAt(1, name.length).normal(count),
    }));
    const losses: number[] = [];
    for (let step = 0; step < 6; step++) {
      const batch = await task.batch(step);
      const rates = {
        learningRate: 0.01,
        beta1: 0.9,
        beta2: 0.99,
        weightDecay: 0,
        clip: 1,
        decay: 0,
        step,
      };
      const made = tf.tidy(() =>
        trainingStep((scope) => task.loss(scope, batch), specs, state, rates)
      );
      losses.push(tf.tidy(() => tf.sum(made.losses).dataSync()[0]!));
      tf.dispose([batch, state, made.losses, made.norm]);
      state = made.state;
    }
    assert(losses[5]! < 0.7 * losses[0]!, losses.join(" "));
    const heldOut = makeBatches(stripes(40, 4), { ...OPTIONS, seed: 99 });
    const parameters = tf.tidy(() => unflatten(state.weights, specs));
    const bands = await accuracyByBand(
      (x, t) =>
        Promise.resolve(tf.tidy(() => encoderUNet(scopeOver(specs, parameters), config, x, t))),
      { batch: heldOut, batches: 2, timesteps: 1000 },
    );
    assertEquals(bands.length, BANDS);
    assert(Math.min(...bands) > 0.5, bands.join(" "));
    tf.dispose(parameters);
    tf.dispose(state);
  }));

Deno.test("accuracyByBand() counts right answers by their timestep", () =>
  onCpu(async () => {
    const seen: number[] = [];
    const bands = await accuracyByBand(
      (x, t) => {
        seen.push(...x.dataSync(), ...t.dataSync());
        return Promise.resolve(tf.tensor2d([[3, 1], [2, 1], [0, -1], [0, 1]])); // 0, 0, 0, 1
      },
      {
        batches: 2,
        timesteps: 1000,
        batch: (step) =>
          Promise.resolve({
            x0: tf.ones<tf.Rank.R4>([4, 1, 1, 1]),
            eps: tf.fill<tf.Rank.R4>([4, 1, 1, 1], 10),
            t: tf.tensor1d([0, 99, 100, 999]),
            alpha: tf.fill<tf.Rank.R4>([4, 1, 1, 1], 0.5),
            sigma: tf.tensor4d([0, 1, 2, 3], [4, 1, 1, 1]),
            weight: tf.ones<tf.Rank.R1>([4]),
            labels: tf.tensor1d([0, 1, 0, step], "int32"),
          }),
      },
    );
    assertEquals(bands, [0.5, 1, 0, 0, 0, 0, 0, 0, 0, 0.5]);
    const once = [0.5, 10.5, 20.5, 30.5, 0, 99, 100, 999]; // noisy images and their timesteps
    assertEquals(seen, [...once, ...once]);
  }));

Deno.test("classifierTask() starts at the loss of guessing, and needs labels", () =>
  onCpu(async () => {
    const task = classifierTask(config, stripes(40, 4), { ...OPTIONS, labelled: false });
    const batch = await task.batch(0);
    tf.tidy(() => {
      const specs = recordParameters((scope) => task.probe(scope));
      const zeros = scopeOf({ get: ({ shape }) => tf.zeros([...shape]), has: () => true });
      assertThrows(() => task.loss(zeros, batch), TypeError, "without labels");
      const labels = tf.zeros<tf.Rank.R1>([10], "int32");
      for (const loss of task.loss(zeros, { ...batch, labels }).dataSync()) {
        assertAlmostEquals(loss, Math.log(2), 1e-6);
      }
      assert(specs.some(({ name }) => name === "out.2.positional_embedding"));
    });
    tf.dispose(batch);
  }));
