import { basename, extname } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { encodeApng } from "../images/apng.ts";
import { writeAtomic } from "../images/atomic.ts";
import { decodeImage } from "../images/load.ts";
import { openOutput } from "../images/output.ts";
import { type Bitmap, fromBytes, toBitmaps } from "../images/pixels.ts";
import { imageNoise } from "../noise/mod.ts";
import type { Level } from "../plugin.ts";
import {
  alphasCumprodOf,
  BETA_SCHEDULES,
  CLEAN,
  levelAt,
  type SchedulerConfig,
} from "../schedules/mod.ts";
import { freePath } from "./_animation.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";
import type { Io } from "./_io.ts";
import { rng, seedOf } from "./_noise.ts";

const flags = {
  steps: {
    type: "integer",
    min: 2,
    help: "pictures, the clean one among them; 8 without it, 60 with --animate",
  },
  by: {
    type: "string",
    choices: ["t", "logsnr"],
    default: "t",
    help: "what changes by equal steps: time, or the logarithm of signal to noise",
  },
  fresh: {
    type: "flag",
    help: "draw new noise for each picture; one noise, which grows, without it",
  },
  size: {
    type: "integer",
    min: 1,
    max: 4096,
    help: "longer edge of a picture in pixels; the image's own, at most 256, without it",
  },
  seed: { type: "string", value: "N", help: "of the noise; else random" },
  rng,
  schedule: {
    type: "string",
    value: "NAME",
    choices: [...Object.keys(BETA_SCHEDULES) as (keyof typeof BETA_SCHEDULES)[], "cosine"],
    default: "linear",
    help: "noise schedule; cosine is another name of squaredcos_cap_v2",
    group: "Schedule",
  },
  timesteps: {
    type: "integer",
    default: 1000,
    min: 1,
    help: "its noise levels",
    group: "Schedule",
  },
  model: {
    type: "string",
    value: "MODEL",
    complete: "model",
    help: "take the schedule of a model instead",
    group: "Schedule",
  },
  output: {
    type: "string",
    alias: "o",
    value: "FILE",
    complete: "file",
    help: "file.png, folder/ or - for stdout; a pipe, or a new file, without it",
    group: "Output",
  },
  animate: { type: "flag", help: "an animated PNG instead of a strip", group: "Output" },
  separate: {
    type: "flag",
    help: "one PNG a picture instead of a strip, one after another on a pipe",
    group: "Output",
  },
} as const;

/** Without --size, larger images are scaled down to this edge, so that a strip fits a screen. */
const EDGE = 256;

/** `denoise forward`: an image on its way to noise. */
export default command({
  name: "forward",
  summary: "shows an image turning into noise (DDPM, equation 4)",
  usage: "IMAGE",
  description:
    "Draws from q(x_t | x_0): the image, then the image mixed with ever more noise up to the last " +
    "timestep. All pictures have the same noise, so that one sees it grow; with --fresh each has " +
    "its own. IMAGE is a file of any usual format, or - for stdin.",
  examples: [
    ["forward cat.jpg -o strip.png", "eight pictures in a row"],
    ["forward cat.jpg --schedule cosine --steps 12 -o strip.png", "another schedule"],
    ["forward cat.jpg --animate -o noise.png", "an animation"],
    ["forward seven.png --model digits --by logsnr > strip.png", "with a model's schedule"],
  ],
  flags,
  async run({ flags, positional: [file = "-"], given, io }) {
    const own = (["schedule", "timesteps"] as const).find((flag) => given(flag));
    if (flags.model !== undefined && own !== undefined) {
      throw new UsageError(`Cannot use --${own} with --model: the schedule is the model's`);
    }
    if (flags.animate && (flags.separate || /[/\\]$/.test(flags.output ?? ""))) {
      const what = flags.separate ? "with --separate" : `into the folder ${flags.output}`;
      throw new UsageError(`Cannot use --animate ${what}: an animation is one file`);
    }
    const seed = await usage(() => seedOf(flags.seed));
    const { alphasCumprod, schedule, model } = await readSchedule(flags);
    const count = flags.steps ?? Math.min(flags.animate ? 60 : 8, alphasCumprod.length + 1);
    const levels = await usage(() => forwardLevels(alphasCumprod, count, flags.by));
    const title = file === "-" ? "stdin" : basename(file);
    const stem = `${basename(title, extname(title))}-forward`;
    const output = await usage(() =>
      openOutput({
        to: flags.output,
        separate: flags.separate,
        stem,
        sheet: { columns: count },
      })
    );
    const image = await readPicture(file, flags.size, io);
    await output.prepare();
    const { width, height, channels } = image;
    const noise = imageNoise(flags.rng, [seed], [height, width, channels]);
    const x0 = fromBytes(image.pixels);
    const shared = flags.fresh ? undefined : noise.draw();
    const pictures = levels.map((level) => {
      const x = level.sigma === 0 ? x0 : addNoise(x0, shared ?? noise.draw(), level);
      const [bitmap = image] = toBitmaps(x, [1, height, width, channels]);
      return bitmap;
    });
    const textOf = (levels: readonly Level[]) => {
      const settings = {
        image: title,
        schedule,
        model,
        timesteps: alphasCumprod.length,
        by: flags.by,
        noise: flags.fresh ? "fresh" : "shared",
        seed: String(seed),
        rng: flags.rng,
        levels,
        version: config.version,
      };
      return { parameters: describe(settings), forward: JSON.stringify(settings) };
    };
    const files = flags.animate
      ? await writeAnimation(pictures, textOf(levels), flags.output, stem, io)
      : await (async () => {
        for (const [index, picture] of pictures.entries()) {
          await output.add(picture, index, textOf(levels.slice(index, index + 1)));
        }
        return await output.finish(textOf(levels));
      })();
    const [first] = files;
    if (first !== undefined) {
      const more = files.length === 1 ? "" : ` to ${basename(files.at(-1) ?? "")}`;
      io.log(`Wrote ${first}${more} (${count} pictures, seed ${seed})`);
    }
    return 0;
  },
});

/** The share of the image's variance that is left at each timestep, and where that is from. */
async function readSchedule({ model: spec, schedule, timesteps }: Values<typeof flags>) {
  if (spec === undefined) {
    const name = schedule === "cosine" ? "squaredcos_cap_v2" : schedule;
    const scheduler: SchedulerConfig = { beta_schedule: name, num_train_timesteps: timesteps };
    return { alphasCumprod: await usage(() => alphasCumprodOf(scheduler)), schedule: name };
  }
  const { openModel } = await import("../pipeline/model.ts");
  const { scheduler, name: model } = openModel(spec);
  const name = String(scheduler["beta_schedule"] ?? "linear");
  return { alphasCumprod: alphasCumprodOf(scheduler), schedule: name, model };
}

/**
 * The levels of the pictures: clean, then by equal steps to the last timestep. Even in logSNR they
 * lie between timesteps, and the second one is at timestep 0, since a clean image has no logSNR.
 *
 * @param alphasCumprod The share of the image's variance that is left at each timestep.
 * @param count At least 2.
 * @throws {RangeError} If there are not as many timesteps.
 */
export function forwardLevels(
  alphasCumprod: ArrayLike<number>,
  count: number,
  by: "t" | "logsnr",
): Level[] {
  const total = alphasCumprod.length;
  const noisy = count - 1;
  if (by === "t") {
    if (noisy > total) {
      throw new RangeError(
        `Cannot use --steps=${count}: ${total} timesteps give at most ${total + 1} pictures`,
      );
    }
    const at = (i: number) => levelAt(alphasCumprod, Math.round((i + 1) * total / noisy) - 1);
    return [CLEAN, ...Array.from({ length: noisy }, (_, i) => at(i))];
  }
  const logSnr = Array.from(alphasCumprod, (signal) => Math.log(signal / (1 - signal)));
  // Where the last timestep is nothing but noise, its logSNR has no end to share out.
  const lowest = logSnr.findLast(Number.isFinite) ?? 0;
  const [highest = 0] = logSnr;
  const between = Array.from({ length: noisy - 1 }, (_, i): Level => {
    const ratio = highest + (lowest - highest) * i / (noisy - 1);
    const share = (sign: number) => Math.sqrt(1 / (1 + Math.exp(sign * ratio)));
    return { t: timestepOf(ratio, logSnr), alpha: share(-1), sigma: share(1) };
  });
  return [CLEAN, ...between, levelAt(alphasCumprod, total - 1)];
}

/** Where a falling sequence takes a value, between two indices as on a straight line. */
function timestepOf(value: number, falling: readonly number[]): number {
  const next = falling.findIndex((each) => each <= value);
  const [before, after] = [falling[next - 1], falling[next]];
  if (before === undefined || after === undefined) return Math.max(0, next);
  return next - (value - after) / (before - after);
}

/** A draw from q(x_t | x_0): `alpha * x0 + sigma * eps` (DDPM, equation 4). */
function addNoise(x0: Float32Array, eps: Float32Array, { alpha, sigma }: Level): Float32Array {
  return x0.map((value, i) => alpha * value + sigma * (eps[i] ?? 0));
}

/** The image, its longer edge of the size asked for. */
async function readPicture(file: string, size: number | undefined, io: Io): Promise<Bitmap> {
  const name = file === "-" ? "stdin" : file;
  const bytes = file === "-"
    ? new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer())
    : await Deno.readFile(file);
  const whole = await decodeImage(bytes, name);
  const { width, height, channels } = whole;
  const longer = Math.max(width, height);
  const edge = size ?? Math.min(EDGE, longer);
  if (edge === longer) return whole;
  const side = width >= height ? { width: edge } : { height: edge };
  const scaled = await decodeImage(bytes, name, { ...side, channels });
  if (size === undefined) {
    io.log(
      `Scaled ${width}x${height} to ${scaled.width}x${scaled.height}; --size gives another size`,
    );
  }
  return scaled;
}

/** The line that other tools show. */
function describe(settings: {
  readonly image: string;
  readonly schedule: string;
  readonly model?: string | undefined;
  readonly timesteps: number;
  readonly noise: string;
  readonly seed: string;
  readonly rng: string;
  readonly levels: readonly Level[];
}): string {
  const { image, schedule, model, timesteps, noise, seed, rng, levels } = settings;
  return [
    `Forward process of ${image}`,
    `Schedule: ${schedule}${model === undefined ? "" : ` of ${model}`}`,
    `Timesteps: ${timesteps}`,
    `t: ${levels.map(({ t }) => t < 0 ? "clean" : Number(t.toFixed(2))).join(" ")}`,
    `Noise: ${noise}`,
    `Seed: ${seed}`,
    `RNG: ${rng}`,
    `Version: denoise ${config.version}`,
  ].join(", ");
}

/** Writes an animation by the rules of `openOutput()`; resolves to the files written. */
async function writeAnimation(
  pictures: readonly Bitmap[],
  text: Readonly<Record<string, string>>,
  to: string | undefined,
  stem: string,
  io: Io,
): Promise<string[]> {
  const delay = Math.max(20, Math.min(400, Math.round(4000 / pictures.length)));
  const still = pictures[pictures.length >> 1]; // the ends show an image or noise, not both
  const bytes = encodeApng(pictures, { delay, hold: 1500, still, text });
  if (to === "-" || (to === undefined && !io.stdoutIsTerminal)) {
    await io.write(bytes);
    return [];
  }
  const path = to ?? await freePath(stem);
  await writeAtomic(path, bytes);
  return [path];
}
