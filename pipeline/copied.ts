/**
 * A model folder as one to be written: its weights anew, all other files as they are.
 *
 * @module
 */
import { join } from "@std/path";
import { chooseWeights } from "../models/weight_files.ts";
import type { Folder, NetworkFiles } from "./folder.ts";
import { openWeights } from "./model.ts";

/** Files that hold weights, in any format. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|msgpack|h5|onnx|pb)$|\.index(\.\w+)?\.json$/;

/**
 * Reads a folder of diffusers.
 *
 * @param variant The variant of the weights to prefer, such as `fp16`.
 * @throws {Deno.errors.NotFound} Where it holds no weights.
 */
export function copiedFolder(path: string, variant?: string): Folder {
  const networks: NetworkFiles[] = [];
  const copies: Record<string, string> = {};
  const visit = (folder: string, depth: number) => {
    const entries = [...Deno.readDirSync(join(path, folder))];
    const names = entries.filter(({ isDirectory }) => !isDirectory).map(({ name }) => name);
    const chosen = chooseWeights(names, variant);
    if (chosen !== undefined) {
      const stem = chosen.files[0]?.startsWith("diffusion_pytorch_model")
        ? "diffusion_pytorch_model"
        : "model";
      networks.push({ folder, stem, weights: openWeights(join(path, folder), variant) });
    }
    for (const name of names) {
      if (!WEIGHTS.test(name)) copies[join(folder, name)] = join(path, folder, name);
    }
    for (const { isDirectory, name } of entries) {
      if (isDirectory && depth > 0) visit(join(folder, name), depth - 1);
    }
  };
  visit("", 1);
  if (networks.length > 0) return { files: {}, copies, networks, missing: [] };
  throw new Deno.errors.NotFound(`Cannot convert "${path}": it holds no weights`);
}
