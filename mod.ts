/**
 * What a program or a plugin's author needs: the contract, models, engines, and the loop that draws
 * images.
 *
 * @example Two digits as PNG files
 * ```ts
 * import { drawBatches, encodePng, loadDenoiser, makePlan, openEngine, openModel } from "./mod.ts";
 *
 * const model = openModel("digits");
 * const engine = await openEngine("auto");
 * const plan = await makePlan(model, { steps: 25, guidance: ["cfg,scale=2"] });
 * const settings = {
 *   model: model.name,
 *   seed: 1,
 *   count: 2,
 *   classes: ["3", "8"],
 *   unconditional: false,
 *   steps: plan.steps,
 *   sampler: "ddim",
 *   guidance: ["cfg,scale=2"],
 *   rng: "philox",
 * } as const;
 * const run = { plan, settings, first: 0, end: 2, batchSize: 2 };
 * for await (const { indices, bitmaps } of drawBatches(loadDenoiser(model, engine), run)) {
 *   for (const [i, bitmap] of bitmaps.entries()) {
 *     await Deno.writeFile(`${indices[i]}.png`, encodePng(bitmap.pixels, bitmap));
 *   }
 * }
 * await engine.dispose();
 * ```
 *
 * @module
 */
export * from "./plugin.ts";
export { type Compiled, type Computation, type Engine } from "./engines/engine.ts";
export { ENGINE_NAMES, type EngineName, type EngineOptions, openEngine } from "./engines/mod.ts";
export { compare, type Comparison, pageOf } from "./evaluation/compare.ts";
export { chooseMetrics } from "./evaluation/evaluate.ts";
export { extractSide } from "./evaluation/extract.ts";
export { type Extractor, type FeaturesPlugin } from "./evaluation/features/extractor.ts";
export { chooseFeatures } from "./evaluation/features/mod.ts";
export { openImages } from "./evaluation/images.ts";
export { type Evidence, type Figure, type Metric } from "./evaluation/metric.ts";
export { type Report, reportText } from "./evaluation/report.ts";
export { encodeApng } from "./images/apng.ts";
export { type Bitmap, toBitmaps } from "./images/pixels.ts";
export { decodePng, encodePng, readPngText } from "./images/png.ts";
export { makeSheet } from "./images/sheet.ts";
export { classifierGradient, encoderUNet, type EncoderUNetConfig } from "./models/encoder_unet.ts";
export { encodeSafetensors, readSafetensors } from "./models/safetensors.ts";
export { type Scope, scopeOf } from "./models/scope.ts";
export { unet2d, type UNet2DConfig } from "./models/unet_2d.ts";
export { type ImageNoise, imageNoise, imageSeeds, type NoiseKind, type Seed } from "./noise/mod.ts";
export { type Denoiser, guidedPredict, loadDenoiser } from "./pipeline/denoiser.ts";
export { type Draw, drawBatches, type Drawn } from "./pipeline/draw.ts";
export { type Model, openModel } from "./pipeline/model.ts";
export { makePlan, type Plan, type Wishes } from "./pipeline/plan.ts";
export { type Progress, type Run, run } from "./pipeline/run.ts";
export { samplerOf } from "./pipeline/scheduler.ts";
export type { Settings } from "./pipeline/settings.ts";
export { calibrate } from "./quantization/calibrate.ts";
export { chooseScales } from "./quantization/choose.ts";
export { readScales, writeScales } from "./quantization/file.ts";
export { fingerprintOf } from "./quantization/fingerprint.ts";
export { choosePrecision } from "./quantization/precision.ts";
export {
  alphasCumprod,
  alphasCumprodOf,
  BETA_SCHEDULES,
  betaSigmas,
  betasOf,
  discreteProcess,
  edmProcess,
  exponentialSigmas,
  flowProcess,
  geometric,
  karrasSigmas,
  path,
  PATH_RULES,
  pathOf,
  type PathRule,
  polyexponentialSigmas,
  posterior,
  type Process,
  processOf,
  respacedTimesteps,
  type Route,
  routeOf,
  type SchedulerConfig,
  sigmaRoute,
  spacingOf,
  timestepRoute,
  veProcess,
  vpSigmas,
} from "./schedules/mod.ts";
