// deno-lint-ignore-file no-console -- a command-line tool
/**
 * Sees that 1,000 steps of sampling and 200 of training leave tensors and memory as they were:
 * `deno run -A --v8-flags=--expose-gc bench/flat.ts`. Ends with status 1 where they do not.
 *
 * @module
 */
import * as tf from "tfjs";
import { openEngine } from "../engines/mod.ts";
import type { Engine } from "../engines/engine.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { drawBatches } from "../pipeline/draw.ts";
import { openModel } from "../pipeline/model.ts";
import { makePlan, specOf } from "../pipeline/plan.ts";
import { openTrainer } from "./_training.ts";

const model = openModel("digits");
const SLACK = 32; // MB: garbage that JavaScript has not collected yet

interface Mark {
  readonly step: number;
  readonly tensors: number;
  readonly megabytes: number;
}

function mark(step: number): Mark {
  (globalThis as { readonly gc?: () => void }).gc?.(); // with --v8-flags=--expose-gc
  const { rss } = Deno.memoryUsage();
  return { step, tensors: tf.memory().numTensors, megabytes: Math.round(rss / 1e6) };
}

/** A thousand steps of two guided images. */
async function sampling(engine: Engine): Promise<Mark[]> {
  const plan = await makePlan(model, { sampler: "ddpm", steps: 1000, guidance: ["cfg,scale=2"] });
  const marks: Mark[] = [];
  const batches = drawBatches(loadDenoiser(model, engine), {
    plan,
    settings: {
      model: model.name,
      seed: 1,
      count: 2,
      classes: model.labels,
      unconditional: false,
      steps: plan.steps,
      sampler: specOf(plan.sampler),
      guidance: plan.guidances.map(specOf),
      spacing: plan.spacing,
      rng: "philox",
    },
    first: 0,
    end: 2,
    batchSize: 2,
    onStep({ step }) {
      if (step % 200 === 0) marks.push(mark(step));
    },
  });
  for await (const _ of batches);
  return marks;
}

/** Two hundred steps of training. */
async function training(engine: Engine): Promise<Mark[]> {
  const trainer = await openTrainer(engine, "digits", 8);
  const marks: Mark[] = [];
  for (let step = 1; step <= 200; step++) {
    await trainer.step();
    if (step % 40 === 0) marks.push(mark(step));
  }
  await trainer.dispose();
  return marks;
}

let flat = true;
for (const [name, work] of Object.entries({ sampling, training })) {
  const engine = await openEngine("onnx");
  const before = tf.memory().numTensors;
  const marks = await work(engine);
  await engine.dispose();
  const left = tf.memory().numTensors - before;
  const [first, last] = [marks[0], marks.at(-1)];
  if (first === undefined || last === undefined) throw new Error(`${name} was not measured`);
  const holds = left === 0 && last.tensors <= first.tensors &&
    last.megabytes - first.megabytes <= SLACK;
  flat &&= holds;
  console.log(`${name}: ${holds ? "flat" : "NOT flat"}, ${left} tensors left`);
  for (const { step, tensors, megabytes } of marks) {
    console.log(`  step ${step}: ${tensors} tensors, ${megabytes} MB`);
  }
}
Deno.exitCode = flat ? 0 : 1;
