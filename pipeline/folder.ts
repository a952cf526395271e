/**
 * Folders in the layout of diffusers, written in any precision and in files of any size.
 *
 * @module
 */
import { dirname, join } from "@std/path";
import { ensureDir } from "@std/fs";
import { writeAtomic } from "../images/atomic.ts";
import { countOf, ELEMENT_BYTES, quote, type WrittenType } from "../models/formats/elements.ts";
import { safetensorsParts } from "../models/safetensors.ts";
import { FLOAT_TYPES, type StoredTensor, type Weights } from "../models/weights.ts";

/** A network to be written. */
export interface NetworkFiles {
  /** Its folder in the model's, or an empty text for the model's own. */
  readonly folder: string;
  /** Its `config.json`; absent where that is copied. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** What the names of its files begin with. */
  readonly stem: string;
  readonly weights: Weights;
}

/** A model to be written. */
export interface Folder {
  /** JSON by path. */
  readonly files: Readonly<Record<string, unknown>>;
  /** Files that are copied: where they are by their path. */
  readonly copies?: Readonly<Record<string, string>>;
  readonly networks: readonly NetworkFiles[];
  /** Parts that the source does not have, and the model needs. */
  readonly missing: readonly string[];
}

/** How weights are written. */
export interface Written {
  readonly dtype: WrittenType;
  /** The largest file in bytes; one file a network where absent. */
  readonly shardSize?: number | undefined;
}

const HALF_MOST = 65504;

/** A tensor that refuses to be written in halves that cannot hold it. */
function checked(tensor: StoredTensor, dtype: WrittenType): StoredTensor {
  if (dtype !== "F16") return tensor;
  return {
    ...tensor,
    read() {
      const values = tensor.read();
      for (const value of values) {
        if (Math.abs(value) <= HALF_MOST || !Number.isFinite(value)) continue;
        throw new RangeError(
          `Cannot write ${
            quote(tensor.name)
          } as f16: it holds ${value}, halves end at ${HALF_MOST}; bf16 holds it`,
        );
      }
      return values;
    },
  };
}

const bytesOf = ({ shape }: StoredTensor, dtype: WrittenType) =>
  countOf(shape) * (ELEMENT_BYTES[dtype] ?? 0);

/** Tensors in files of at most `most` bytes; a larger tensor has a file of its own. */
export function shardsOf(
  tensors: readonly StoredTensor[],
  dtype: WrittenType,
  most: number,
): StoredTensor[][] {
  const shards: StoredTensor[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    const own = bytesOf(tensor, dtype);
    if (size > 0 && size + own > most) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)?.push(tensor);
    size += own;
  }
  return shards;
}

const toJson = (value: unknown) => JSON.stringify(value, null, 2) + "\n";

async function writeNetwork(
  path: string,
  { stem, weights }: NetworkFiles,
  { dtype, shardSize = Infinity }: Written,
): Promise<string[]> {
  // Counters such as position_ids are no weights; nobody reads them.
  const tensors = [...weights.values()].filter(({ dtype }) =>
    FLOAT_TYPES.some((type) => type === dtype)
  ).map((tensor) => checked(tensor, dtype));
  const shards = shardsOf(tensors, dtype, shardSize);
  const pad = (number: number) => String(number).padStart(5, "0");
  const nameOf = (index: number) =>
    shards.length === 1
      ? `${stem}.safetensors`
      : `${stem}-${pad(index + 1)}-of-${pad(shards.length)}.safetensors`;
  for (const [index, shard] of shards.entries()) {
    await writeAtomic(join(path, nameOf(index)), safetensorsParts(shard, dtype));
  }
  const names = shards.map((_, index) => join(path, nameOf(index)));
  if (shards.length === 1) return names;
  const map = shards.flatMap((shard, index) => shard.map(({ name }) => [name, nameOf(index)]));
  const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor, dtype), 0);
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(map) };
  const indexPath = join(path, `${stem}.safetensors.index.json`);
  await writeAtomic(indexPath, toJson(index));
  return [...names, indexPath];
}

/**
 * Writes a model, a tensor at a time: the whole folder, or nothing.
 *
 * @param path A folder that does not exist, or is empty.
 * @returns How many files of weights there are.
 */
export async function writeFolder(path: string, folder: Folder, written: Written): Promise<number> {
  const temporary = `${path.replace(/[/\\]+$/, "")}.${crypto.randomUUID()}`;
  try {
    const files = await writeParts(temporary, folder, written);
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.rename(temporary, path);
    return files.length;
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    throw error;
  }
}

async function writeParts(
  path: string,
  { files, copies = {}, networks }: Folder,
  written: Written,
): Promise<string[]> {
  const made: string[] = [];
  for (const network of networks) {
    const folder = join(path, network.folder);
    made.push(...await writeNetwork(folder, network, written));
    if (network.config !== undefined) {
      await writeAtomic(join(folder, "config.json"), toJson(network.config));
    }
  }
  for (const [to, from] of Object.entries(copies)) {
    await ensureDir(dirname(join(path, to)));
    await Deno.copyFile(from, join(path, to));
  }
  for (const [name, value] of Object.entries(files)) {
    await writeAtomic(join(path, name), toJson(value));
  }
  return made;
}
