/**
 * Training steps of a model on one batch, for measurements.
 *
 * @module
 */
import type { Engine } from "../engines/engine.ts";
import { unet2d } from "../models/unet_2d.ts";
import { openModel } from "../pipeline/model.ts";
import { trainable } from "../pipeline/unet.ts";
import { freshParts } from "../training/checkpoint.ts";
import { lossesOf } from "../training/objectives/losses.ts";
import { recordParameters, vectorOf } from "../training/parameters.ts";
import { stepperOf } from "../training/step.ts";
import { trainingInputs } from "./_inputs.ts";

/** Makes steps of training, always on the same batch. */
export interface Trainer {
  /** Makes a step and returns its loss. */
  step(): Promise<number>;
  dispose(): Promise<void>;
}

/** Opens a training that goes on from a model's weights. */
export async function openTrainer(engine: Engine, model: string, batch: number): Promise<Trainer> {
  const { config, weights } = trainable(openModel(model).unet, model);
  const inputs = trainingInputs(config, batch);
  const { x0, t, labels } = inputs;
  const specs = recordParameters((scope) => unet2d(scope, config, x0, t, labels));
  const objective = {
    objective: "simple",
    mean: "v_prediction",
    variance: config.out_channels > config.in_channels ? "learned_range" : "small",
    vlbWeight: 0,
    timesteps: 1000,
  } as const;
  const stepper = stepperOf(
    (scope, noisy: typeof inputs) =>
      lossesOf((x, t, labels) => unet2d(scope, config, x, t, labels), noisy, objective).loss,
    specs,
    freshParts(await vectorOf(specs, weights)),
    engine,
  );
  const rates = { learningRate: 1e-3, beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1 };
  let step = 0;
  return {
    step: async () => (await stepper.step(inputs, { ...rates, decay: 0.999, step: step++ })).loss,
    async dispose() {
      await stepper.dispose();
      for (const tensor of Object.values(inputs)) tensor?.dispose();
    },
  };
}
