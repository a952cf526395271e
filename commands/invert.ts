import config from "../deno.json" with { type: "json" };
import { encodeNoise, type NoiseFile } from "../editing/noise_file.ts";
import { givenNoise } from "../editing/edit.ts";
import { writeAtomic } from "../images/atomic.ts";
import type { Bitmap } from "../images/pixels.ts";
import { psnr } from "../images/psnr.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import { edgeOf, openModel } from "../pipeline/model.ts";
import type { Plan } from "../pipeline/plan.ts";
import { type Settings, settingsText } from "../pipeline/settings.ts";
import { command, UsageError } from "./_command.ts";
import { batchSizeOf } from "./_drawing.ts";
import { engineFlags } from "./_engine_flags.ts";
import type { Io } from "./_io.ts";
import {
  checkInvertible,
  encodePictures,
  inversionFlags,
  inversionRun,
  openDenoiser,
  readPictures,
} from "./_inversion.ts";
import sample from "./sample.ts";

const flags = {
  ...inversionFlags,
  "batch-size": { ...sample.flags["batch-size"], default: 16 },
  ...engineFlags,
  output: {
    type: "string",
    alias: "o",
    value: "FILE",
    complete: "file",
    help: "file.safetensors, for sample --noise; the first picture's name with it, without",
    group: "Output",
  },
  check: {
    type: "flag",
    help: "draw the pictures from the noise and say how near they come, as PSNR",
    group: "Output",
  },
} as const;

/** `denoise invert`: the noise behind pictures. */
export default command({
  name: "invert",
  summary: "finds the noise that pictures come from (DDIM inversion)",
  usage: "IMAGE...",
  description:
    "Goes from each picture up to noise, along the path on which ddim comes down (Song et al. 2021, " +
    "section 4.3), and writes the noise with the settings that lead back: `sample --noise FILE` " +
    "draws the pictures again, with another --class it changes them, with --variations it varies " +
    "them. IMAGE is a file of any usual format.",
  examples: [
    ["invert seven.png --class 7 --check -o seven.safetensors", "and how near it comes back"],
    ['invert cat.png --model OWNER/NAME --prompt "a cat" --refine 3', "by a text, on latents"],
    ["sample --noise seven.safetensors -o seven.png", "the way back"],
    ["sample --noise seven.safetensors --class 9 -o nine.png", "in the same hand"],
  ],
  flags,
  async run({ flags, positional, given, io }) {
    const { output = `${(positional[0] ?? "").replace(/\.\w+$/, "")}.safetensors` } = flags;
    if (!output.endsWith(".safetensors")) {
      throw new UsageError(`Cannot write ${output}: give a name that ends in .safetensors`);
    }
    const model = openModel(flags.model);
    checkInvertible(model);
    const run = await inversionRun(model, flags, positional.length, given);
    const pictures = await readPictures(positional, model, io);
    const { engineOf } = await import("./_engine.ts");
    const batchSize = batchSizeOf(model, flags, given);
    const engine = await engineOf(flags, io);
    try {
      const denoiser = await openDenoiser(model, engine, run.settings, io);
      const typed = { ...flags, "batch-size": batchSize };
      const noise = await encodePictures(denoiser, run, pictures, typed, io);
      const edge = edgeOf(model);
      const texts = settingsText(run.settings, {
        size: `${edge}x${edge}`,
        version: config.version,
      });
      await writeAtomic(output, encodeNoise({ ...noise, texts }));
      io.log(`Wrote ${output}`);
      if (flags.check) {
        await check(denoiser, run, { noise, pictures, batchSize }, io);
      }
    } finally {
      await engine.dispose();
    }
    return 0;
  },
});

/** Goes back and prints the PSNR of each picture. */
async function check(
  denoiser: Denoiser,
  { plan, settings }: { readonly plan: Plan; readonly settings: Settings },
  { noise, pictures, batchSize }: {
    readonly noise: Omit<NoiseFile, "texts">;
    readonly pictures: readonly Bitmap[];
    readonly batchSize: number;
  },
  io: Io,
): Promise<void> {
  const { drawBatches } = await import("../pipeline/draw.ts");
  const edit = givenNoise((index) => {
    const span = noise.values.length / pictures.length;
    return noise.values.subarray(index * span, (index + 1) * span);
  });
  const { signal } = io;
  const all = { plan, settings, edit, first: 0, end: pictures.length, batchSize, signal };
  for await (const { indices, bitmaps } of drawBatches(denoiser, all)) {
    for (const [i, index] of indices.entries()) {
      const [before, after] = [pictures[index], bitmaps[i]];
      if (before && after) await io.write(`${index}\t${psnr(before, after).toFixed(1)} dB`);
    }
  }
}
