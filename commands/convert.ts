import { basename, extname, join } from "@std/path";
import type { Folder, Written } from "../pipeline/folder.ts";
import { fileFlags } from "./_file_flags.ts";
import { command, usage, UsageError, type Values } from "./_command.ts";

const DTYPES = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

const flags = {
  output: {
    type: "string",
    alias: "o",
    value: "FOLDER",
    complete: "folder",
    help: "the folder that is written; it must not exist, or be empty",
  },
  dtype: {
    type: "string",
    choices: ["f32", "f16", "bf16"],
    default: "f32",
    help: "the type of the weights in it",
  },
  "shard-size": {
    type: "string",
    value: "SIZE",
    help: "the largest file of weights, as in 2GB or 500MB, with an index where it takes several",
  },
  variant: { type: "string", value: "NAME", help: "the weights to read of a folder, such as fp16" },
  ...fileFlags,
  ema: { type: "flag", help: "the moving average of the weights, where CompVis' file has both" },
} as const;

type Given = Values<typeof flags>;

/** `denoise convert`: a model of any format as a folder of diffusers. */
export default command({
  name: "convert",
  summary: "writes a model of any format as a folder that diffusers loads",
  usage: "INPUT",
  description:
    "INPUT is a file of weights (.safetensors, .ckpt, .pt, .bin) of Stable Diffusion, of CompVis' " +
    "latent diffusion or of OpenAI's guided-diffusion, or a model folder. Its tensors are renamed, " +
    "their configurations are found by their shapes, and one tensor at a time is written.",
  examples: [
    ["convert v1-5-pruned.ckpt --dtype f16 --tokenizer clip/ -o sd15", "Stable Diffusion"],
    ["convert 256x256_diffusion.pt --classifier 256x256_classifier.pt -o adm", "OpenAI's files"],
    ["convert runs/digits --dtype bf16 --shard-size 2GB -o small", "a folder, smaller"],
  ],
  flags,
  async run({ flags, positional: [input = ""], io }) {
    const { output } = flags;
    if (output === undefined) throw new UsageError("Cannot convert without -o FOLDER");
    const shardSize = await usage(() => sizeOf(flags["shard-size"]));
    await refuseFull(output);
    const folder = await usage(() => open(input, flags));
    const written: Written = { dtype: DTYPES[flags.dtype], shardSize };
    const { writeFolder } = await import("../pipeline/folder.ts");
    const files = await writeFolder(output, folder, written);
    const weights = files === 1 ? "1 file" : `${files} files`;
    io.log(`Wrote ${output} (${folder.networks.length} networks in ${weights}, ${flags.dtype})`);
    for (const part of folder.missing) {
      if (folder.copies !== undefined) continue;
      io.warn(`The folder has no ${part}/, which ${input} does not hold: give one with --${part}`);
    }
    return 0;
  },
});

/** Bytes of a size such as `2GB`; units are powers of a thousand. */
export function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit = ""] = text.match(/^(\d+(?:\.\d+)?)\s*([KMGT]?)B?$/i) ?? [];
  const size = Number(number) * 1000 ** " KMGT".indexOf(unit.toUpperCase() || " ");
  if (size >= 1) return size;
  throw new RangeError(`Cannot use --shard-size ${text}: it must be a size such as 2GB or 500MB`);
}

async function refuseFull(path: string): Promise<void> {
  const { statOrNone } = await import("../images/atomic.ts");
  const there = await statOrNone(path);
  if (there === undefined) return;
  const names = there.isDirectory ? await Array.fromAsync(Deno.readDir(path)) : [path];
  if (names.length > 0) {
    throw new UsageError(`Cannot write ${path}: it is there already; name a new folder`);
  }
}

async function open(input: string, flags: Given): Promise<Folder> {
  const { isWeightsFile, readWeights } = await import("../models/formats/open.ts");
  const { convertCompVis, convertOpenAI, isCompVis, notConvertible } = await import(
    "../pipeline/converted.ts"
  );
  const { describeCheckpoint } = await import("../pipeline/openai.ts");
  const { findModel, openModel } = await import("../pipeline/model.ts");
  const path = findModel(input);
  const { "model-flags": modelFlags, classifier } = flags;
  if (!isWeightsFile(path)) {
    refuseUnused(input, flags, ["model-flags", "classifier", "prediction", "tokenizer", "ema"]);
    const { copiedFolder } = await import("../pipeline/copied.ts");
    return copiedFolder(path, flags.variant);
  }
  const weights = readWeights(path);
  try {
    if (!isCompVis(weights)) {
      refuseUnused(input, flags, ["prediction", "tokenizer", "ema", "variant"]);
      const { kind } = describeCheckpoint(path, weights, modelFlags);
      if (kind !== "UNetModel") throw notConvertible(kind);
      return convertOpenAI(openModel(input, { modelFlags, classifier }));
    }
    refuseUnused(input, flags, ["classifier", "variant"]);
    const folder = convertCompVis(weights, { ...flags, modelFlags });
    return flags.tokenizer === undefined ? folder : withTokenizer(folder, flags.tokenizer);
  } catch (cause) {
    const own = cause instanceof TypeError && !cause.message.startsWith("Cannot ");
    throw own ? new TypeError(`Cannot convert "${path}": ${cause.message}`, { cause }) : cause;
  }
}

/** Refuses flags that say nothing of an input. */
function refuseUnused(
  input: string,
  given: Given,
  names: readonly (keyof typeof flags)[],
): void {
  const found = names.find((name) => given[name] !== undefined && given[name] !== false);
  if (found === undefined) return;
  throw new UsageError(
    `Cannot use --${found} with ${basename(input)}: it says nothing of such a model`,
  );
}

/** Adds the files of a tokenizer. */
function withTokenizer(folder: Folder, path: string): Folder {
  if (!folder.missing.includes("tokenizer")) {
    throw new UsageError("Cannot use --tokenizer with a model that reads no texts");
  }
  const names = [...Deno.readDirSync(path)].filter(({ isFile, name }) =>
    isFile && [".json", ".txt"].includes(extname(name))
  ).map(({ name }) => name);
  if (!names.includes("vocab.json") && !names.includes("tokenizer.json")) {
    throw new UsageError(
      `Cannot use --tokenizer ${path}: it holds neither vocab.json nor tokenizer.json`,
    );
  }
  const copies = names.map((name) => [`tokenizer/${name}`, join(path, name)]);
  return { ...folder, copies: Object.fromEntries(copies) };
}
