/**
 * Measures editing on the bundled digits and prints the figures of docs/editing.md:
 *
 *     deno run --allow-all tools/editing.ts inpaint|invert|restore [COUNT]
 *
 * Digits are the first of MNIST's test images; what is drawn is read by the classifier of clean digits
 * that `evaluate` has, which the model never sees.
 *
 * @module
 */
import * as tf from "tfjs";
import { makeEdit } from "../editing/edit.ts";
import { encodeImages } from "../editing/encode.ts";
import { givenNoise } from "../editing/edit.ts";
import { openEngine } from "../engines/mod.ts";
import digits from "../evaluation/features/digits.ts";
import downsample from "../guidance/operators/downsample.ts";
import { type Bitmap, fromBytes, toBitmaps } from "../images/pixels.ts";
import { encodePng } from "../images/png.ts";
import { psnr } from "../images/psnr.ts";
import { makeSheet } from "../images/sheet.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { type Draw, drawBatches } from "../pipeline/draw.ts";
import { openModel } from "../pipeline/model.ts";
import { makePlan, specOf } from "../pipeline/plan.ts";
import type { Images } from "../plugin.ts";
import { openDataset } from "../training/data/mod.ts";

const [section, number = "100"] = Deno.args;
const count = Number(number);
const EDGE = 32;
const model = openModel("digits");
const engine = await openEngine("onnx");
const denoiser = loadDenoiser(model, engine);
const data = await openDataset("mnist", { split: "test", size: EDGE });
const { images, labels } = await data.batch(Array.from({ length: count }, (_, i) => i));
const truth = toBitmaps(images, [count, EDGE, EDGE, 1]);
const reader = await digits.open({ source: "digits", engine, preprocess: "none", options: {} });

const log = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

/** The share of images that is read as what it was. */
async function accuracy(drawn: readonly Bitmap[]): Promise<string> {
  const values = Float32Array.from(drawn.flatMap(({ pixels }) => [...pixels]));
  const { logits } = await reader.extract({ values, shape: [drawn.length, EDGE, EDGE, 1] });
  let right = 0;
  for (let i = 0; i < drawn.length; i++) {
    const row = logits?.values.subarray(i * 10, (i + 1) * 10) ?? new Float32Array();
    if (row.indexOf(Math.max(...row)) === labels[i]) right++;
  }
  return `${(100 * right / drawn.length).toFixed(1)} %`;
}

/** Draws without a class, each image on its own seed and, where it is edited, on its own picture. */
async function draw(
  wishes: Parameters<typeof makePlan>[1],
  editOf?: (index: number) => Draw["edit"],
): Promise<Bitmap[]> {
  const plan = await makePlan(model, { steps: 25, sampler: "ddim", guidance: ["none"], ...wishes });
  const settings = settingsOf(plan);
  const drawn: Bitmap[] = [];
  for (let first = 0; first < count; first += editOf ? 1 : 20) {
    const end = Math.min(count, first + (editOf ? 1 : 20));
    const batches = drawBatches(denoiser, {
      plan,
      settings,
      first,
      end,
      batchSize: 20,
      edit: editOf?.(first),
    });
    for await (const { bitmaps } of batches) drawn.push(...bitmaps);
  }
  return drawn;
}

function settingsOf(plan: Awaited<ReturnType<typeof makePlan>>) {
  return {
    model: "digits",
    seed: 0,
    count,
    classes: ["none"],
    unconditional: false,
    steps: plan.steps,
    sampler: specOf(plan.sampler),
    guidance: plan.guidances.map(specOf),
    rng: "philox",
  } as const;
}

function save(name: string, drawn: readonly Bitmap[]): void {
  const sheet = makeSheet(drawn.slice(0, 10), { columns: 10, padding: 1 });
  Deno.writeFileSync(
    new URL(`../docs/editing/${name}.png`, import.meta.url),
    encodePng(sheet.pixels, sheet),
  );
}

/** The mean difference of gray levels across the edge of the mask, between rows 15 and 16. */
function seam(drawn: readonly Bitmap[]): string {
  const jumps = drawn.flatMap(({ pixels }) =>
    Array.from(
      { length: EDGE },
      (_, x) => Math.abs((pixels[16 * EDGE + x] ?? 0) - (pixels[15 * EDGE + x] ?? 0)),
    )
  );
  return (jumps.reduce((sum, jump) => sum + jump, 0) / jumps.length).toFixed(2);
}

async function inpaint(): Promise<void> {
  const open = Uint8Array.from({ length: EDGE ** 2 }, (_, i) => i >= 16 * EDGE ? 1 : 0);
  log(`true digits: seam ${seam(truth)}, read ${await accuracy(truth)}`);
  for (const inpaint of ["replace", "repaint,jump=5,resample=4"]) {
    const drawn = await draw({ edit: { inpaint } }, (index) =>
      makeEdit({ inpaint }, {
        canvas: { image: truth[index]!, open, bare: false },
        unit: false,
      }));
    const kept = drawn.every(({ pixels }, i) =>
      pixels.every((byte, k) => open[k] === 1 || byte === truth[i]?.pixels[k])
    );
    log(`${inpaint}: seam ${seam(drawn)}, read ${await accuracy(drawn)}, kept ${kept}`);
    save(inpaint.replaceAll(/[,=]/g, "_"), drawn);
  }
}

async function invert(): Promise<void> {
  for (const [steps, refine] of [[100, 0], [100, 1], [25, 0]] as const) {
    const plan = await makePlan(model, { steps, sampler: "ddim", guidance: ["none"] });
    const settings = settingsOf(plan);
    const noise = await encodeImages(denoiser, {
      plan,
      settings,
      images: truth,
      refine,
      batchSize: 20,
    });
    const span = EDGE ** 2;
    const edit = givenNoise((i) => noise.values.subarray(i * span, (i + 1) * span));
    const back: Bitmap[] = [];
    const all = { plan, settings, edit, first: 0, end: count, batchSize: 20 };
    for await (const { bitmaps } of drawBatches(denoiser, all)) back.push(...bitmaps);
    const ratios = back.map((image, i) => psnr(truth[i]!, image)).sort((a, b) => a - b);
    const above = ratios.filter((ratio) => ratio >= 30).length;
    log(
      `${steps} steps, refine ${refine}: least ${ratios[0]?.toFixed(1)}, median ${
        ratios[count >> 1]?.toFixed(1)
      } dB, ${above} of ${count} at least 30 dB`,
    );
  }
}

async function restore(): Promise<void> {
  const x0 = tf.tensor4d(fromBytes(Uint8Array.from(truth.flatMap(({ pixels }) => [...pixels]))), [
    count,
    EDGE,
    EDGE,
    1,
  ]);
  const small = downsample(x0, { width: 8, height: 8 });
  const low = toBitmaps(await small.data() as Float32Array, small.shape);
  const enlarge = tf.image.resizeBilinear(small, [EDGE, EDGE], false, true) as Images;
  const blurred = toBitmaps(await enlarge.data() as Float32Array, enlarge.shape);
  log(`enlarged: read ${await accuracy(blurred)}`);
  save("low", blurred);
  const folder = await Deno.makeTempDir();
  for (const [i, image] of low.entries()) {
    await Deno.writeFile(`${folder}/${i}.png`, encodePng(image.pixels, image));
  }
  for (const scale of [1, 3]) {
    const drawn: Bitmap[] = [];
    for (let i = 0; i < count; i++) {
      const guidance = [
        `loss,operator=downsample,image=${folder}/${i}.png,form=eps,scale=${scale}`,
      ];
      const plan = await makePlan(model, { steps: 25, sampler: "ddim", guidance });
      const all = { plan, settings: settingsOf(plan), first: i, end: i + 1, batchSize: 1 };
      for await (const { bitmaps } of drawBatches(denoiser, all)) drawn.push(...bitmaps);
    }
    log(`restored, scale ${scale}: read ${await accuracy(drawn)}`);
    save(`restored_${scale}`, drawn);
  }
}

const sections: Readonly<Record<string, () => Promise<void>>> = { inpaint, invert, restore };
const measure = sections[section ?? ""];
if (measure === undefined) throw new RangeError(`Name one of ${Object.keys(sections).join(", ")}`);
await measure();
await engine.dispose();
