import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { encodeImages } from "../../editing/encode.ts";
import { givenNoise, makeEdit } from "../../editing/edit.ts";
import { openEngine } from "../../engines/mod.ts";
import digits from "../../evaluation/features/digits.ts";
import downsample from "../../guidance/operators/downsample.ts";
import { type Bitmap, toBitmaps } from "../../images/pixels.ts";
import { encodePng } from "../../images/png.ts";
import { psnr } from "../../images/psnr.ts";
import { loadDenoiser } from "../../pipeline/denoiser.ts";
import { type Draw, drawBatches } from "../../pipeline/draw.ts";
import { openModel } from "../../pipeline/model.ts";
import { makePlan, specOf, type Wishes } from "../../pipeline/plan.ts";
import { readFixture } from "../_safetensors.ts";

/** Digits that the model has drawn, and what they are. */
const LABELS = [0, 3, 5, 8];
const { data } = readFixture("digits/expected.safetensors")("images");
const images = toBitmaps(Float32Array.from(data), [LABELS.length, 32, 32, 1]);
const model = openModel("digits");

/** A test of the bundled model, without classes and guidance unless it is said. */
function checkDigits(
  name: string,
  fn: (
    draw: (wishes: Wishes, more: Pick<Draw, "edit" | "first" | "end">) => Promise<Bitmap[]>,
    bench: {
      readonly denoiser: ReturnType<typeof loadDenoiser>;
      readonly runOf: (wishes: Wishes) => Promise<Pick<Draw, "plan" | "settings">>;
    },
  ) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const engine = await openEngine("onnx");
    try {
      const denoiser = loadDenoiser(model, engine);
      const runOf = async (wishes: Wishes) => {
        const plan = await makePlan(model, { sampler: "ddim", guidance: ["none"], ...wishes });
        const settings = {
          model: "digits",
          seed: 0,
          count: LABELS.length,
          classes: ["none"],
          unconditional: false,
          steps: plan.steps,
          sampler: specOf(plan.sampler),
          guidance: plan.guidances.map(specOf),
          rng: "philox",
        } as const;
        return { plan, settings };
      };
      await fn(async (wishes, more) => {
        const drawn: Bitmap[] = [];
        const run = await runOf(wishes);
        for await (const { bitmaps } of drawBatches(denoiser, { ...run, ...more, batchSize: 4 })) {
          drawn.push(...bitmaps);
        }
        return drawn;
      }, { denoiser, runOf });
    } finally {
      await engine.dispose();
    }
  });
}

checkDigits(
  "DDIM inversion and back returns a digit to 30 dB in 100 steps",
  async (draw, bench) => {
    const run = await bench.runOf({ steps: 100 });
    const pictures = images.slice(0, 1);
    const noise = await encodeImages(bench.denoiser, {
      ...run,
      images: pictures,
      refine: 0,
      batchSize: 1,
    });
    const edit = givenNoise((i) => noise.values.subarray(i * 1024, (i + 1) * 1024));
    const back = await draw({ steps: 100 }, { edit, first: 0, end: 1 });
    for (const [i, image] of back.entries()) {
      const ratio = psnr(pictures[i]!, image);
      assert(ratio >= 30, `image ${i} comes back to ${ratio} dB`);
    }
  },
);

checkDigits(
  "RePaint's seam is better than that of replacing, and both keep what is known",
  async (draw) => {
    const open = Uint8Array.from({ length: 1024 }, (_, i) => i >= 512 ? 1 : 0);
    const seam = async (inpaint: string) => {
      let jump = 0;
      for (const [i, image] of images.entries()) {
        const edit = makeEdit({ inpaint }, { canvas: { image, open, bare: false }, unit: false });
        const [drawn] = await draw({ steps: 20, edit: { inpaint } }, {
          edit,
          first: i,
          end: i + 1,
        });
        assertEquals(drawn?.pixels.slice(0, 512), image.pixels.slice(0, 512));
        for (let x = 0; x < 32; x++) {
          jump += Math.abs(drawn!.pixels[512 + x]! - drawn!.pixels[480 + x]!) / 128;
        }
      }
      return jump;
    };
    const [replace, repaint] = [await seam("replace"), await seam("repaint,jump=5,resample=4")];
    assert(repaint < replace, `${repaint} gray levels against ${replace}`);
  },
);

checkDigits(
  "digits at a quarter of their size are restored so that they are read right",
  async (draw, bench) => {
    const x0 = tf.tensor4d(Float32Array.from(data), [LABELS.length, 32, 32, 1]);
    const small = downsample(x0, { width: 8, height: 8 });
    const low = toBitmaps(await small.data() as Float32Array, small.shape);
    tf.dispose([x0, small]);
    const folder = await Deno.makeTempDir();
    const drawn: Bitmap[] = [];
    for (const [i, image] of low.entries()) {
      await Deno.writeFile(`${folder}/${i}.png`, encodePng(image.pixels, image));
      const guidance = [`loss,operator=downsample,image=${folder}/${i}.png,form=eps,scale=3`];
      drawn.push(...await draw({ steps: 25, guidance }, { first: i, end: i + 1 }));
    }
    const values = Float32Array.from(drawn.flatMap(({ pixels }) => [...pixels]));
    const { engine } = bench.denoiser;
    const reader = await digits.open({ source: "digits", engine, preprocess: "none", options: {} });
    const { logits } = await reader.extract({ values, shape: [LABELS.length, 32, 32, 1] });
    const read = LABELS.map((_, i) => {
      const row = [...logits?.values.subarray(10 * i, 10 * (i + 1)) ?? []];
      return row.indexOf(Math.max(...row));
    });
    const right = read.filter((label, i) => label === LABELS[i]).length;
    assert(right >= 3, `read as ${read}`); // of many more in docs/editing.md; half of them before
  },
);
