import { assert } from "@std/assert";
import * as tf from "tfjs";
import { openEngine } from "../../engines/mod.ts";
import { psnr } from "../../images/psnr.ts";
import { type Denoiser, loadDenoiser } from "../../pipeline/denoiser.ts";
import { drawBatches } from "../../pipeline/draw.ts";
import { openModel } from "../../pipeline/model.ts";
import { makePlan } from "../../pipeline/plan.ts";
import type { Settings } from "../../pipeline/settings.ts";
import { calibrate } from "../../quantization/calibrate.ts";
import { chooseScales } from "../../quantization/choose.ts";
import { errorOf } from "../../quantization/sensitivity.ts";

Deno.test("digits in int8 are the digits of float32, at ten steps", async () => {
  const engine = await openEngine("onnx");
  try {
    if (!await engine.bytes?.exact()) return; // no processor for it
    const model = openModel("digits");
    const plan = await makePlan(model, { steps: 10 });
    const settings: Settings = {
      model: model.name,
      seed: 0,
      count: 4,
      classes: model.labels,
      unconditional: false,
      steps: 10,
      sampler: "ddim",
      guidance: ["cfg"],
      rng: "philox",
    };
    const draw = { plan, settings, first: 0, end: 4, batchSize: 4 };
    const { groups: seen, calls } = await calibrate(model, engine, draw);
    const choice = { ranges: "minmax", percentile: 100, float: [], correct: true } as const;
    const scales = seen.map(({ below, layers }) => {
      return { below, scales: chooseScales(layers, model.unet.weights, choice) };
    });
    const error = await errorOf(model, engine, scales, calls);
    tf.dispose(calls.flat());
    assert(error < 0.02, `answers differ by ${error}`);
    const imagesOf = async (denoiser: Denoiser) => {
      const run = { ...draw, settings: { ...settings, seed: 100, classes: ["3", "8", "0", "5"] } };
      for await (const { bitmaps } of drawBatches(denoiser, run)) return bitmaps;
      return [];
    };
    const exact = await imagesOf(loadDenoiser(model, engine));
    const bytes = await imagesOf(loadDenoiser(model, engine, undefined, { scales }));
    const decibels = exact.map((image, i) => psnr(image, bytes[i] ?? image));
    assert(decibels.length === 4 && decibels.every((value) => value > 32), decibels.join());
  } finally {
    await engine.dispose();
  }
});
