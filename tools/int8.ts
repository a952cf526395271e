// deno-lint-ignore-file no-console -- a command-line tool
/**
 * Compares images in int8, or with weights in blocks, with those of the same seeds in float32, over
 * samplers and steps, for `docs/quantization.md`: `deno run -A tools/int8.ts MODEL SCALES [IMAGES]`,
 * where SCALES may be `q8_0` or `q4_0`.
 *
 * @module
 */
import { openEngine } from "../engines/mod.ts";
import type { Bitmap } from "../images/pixels.ts";
import { psnr } from "../images/psnr.ts";
import { type Denoiser, loadDenoiser } from "../pipeline/denoiser.ts";
import { drawBatches } from "../pipeline/draw.ts";
import { openModel } from "../pipeline/model.ts";
import { makePlan, specOf } from "../pipeline/plan.ts";
import { BITS, isBlocks } from "../quantization/names.ts";
import { openScales } from "../quantization/precision.ts";

const SAMPLERS = ["ddim", "ddpm", "dpmpp_2m", "heun", "euler_ancestral"];
const STEPS = [10, 25, 50];
const SEED = 5000;

const [name = "digits", file = "", images = "10"] = Deno.args;
const count = Number(images);
const model = openModel(name);
const engine = await openEngine("onnx");
const exact = loadDenoiser(model, engine);
const layers = isBlocks(file)
  ? { bits: BITS[file] }
  : { scales: await openScales(model, file || undefined) };
const bytes = loadDenoiser(model, engine, "together", layers);

async function draw(denoiser: Denoiser, sampler: string, steps: number): Promise<Bitmap[]> {
  const spacing = sampler === "heun" ? "karras,sigma_max=80" : undefined; // see docs/samplers.md
  const plan = await makePlan(model, { sampler, steps, spacing });
  const settings = {
    model: model.name,
    seed: SEED,
    count,
    classes: model.labels,
    unconditional: false,
    steps,
    sampler: specOf(plan.sampler),
    guidance: plan.guidances.map(specOf),
    rng: "philox",
  } as const;
  const run = { plan, settings, first: 0, end: count, batchSize: count };
  const bitmaps: Bitmap[] = [];
  for await (const drawn of drawBatches(denoiser, run)) bitmaps.push(...drawn.bitmaps);
  return bitmaps;
}

console.log(`| sampler | ${STEPS.map((steps) => `${steps} steps`).join(" | ")} |`);
console.log(`|---|${STEPS.map(() => "---|").join("")}`);
for (const sampler of SAMPLERS) {
  const cells: string[] = [];
  for (const steps of STEPS) {
    const [right, left] = [
      await draw(exact, sampler, steps),
      await draw(bytes, sampler, steps),
    ];
    const decibels = left.map((image, i) => psnr(image, right[i] ?? image)).sort((a, b) => a - b);
    const median = decibels[decibels.length >> 1] ?? NaN;
    cells.push(`${median.toFixed(1)}, ${decibels[0]?.toFixed(1)}`);
  }
  console.log(`| \`${sampler}\` | ${cells.join(" | ")} |`);
}
await engine.dispose();
