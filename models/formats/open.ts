/**
 * Weights of any format that is known here: safetensors, checkpoints of `torch.save`, and the index
 * of several such files.
 *
 * @module
 */
import { readSafetensors } from "../safetensors.ts";
import type { Weights } from "../weights.ts";
import { readRange } from "./elements.ts";
import { readSharded } from "./sharded.ts";
import { readTorch } from "./torch.ts";

/** Whether a path has the ending of a file of weights. */
export function isWeightsFile(path: string): boolean {
  return /\.(safetensors|pt|pth|bin|ckpt)(\.index\.json)?$/.test(path);
}

/**
 * Opens a file of weights, or an index of several. Only headers are read.
 *
 * @throws {Deno.errors.NotFound} Where there is no such file.
 * @throws {Error} Where it is damaged or of no known format.
 */
export function readWeights(path: string): Weights {
  return path.endsWith(".json") ? readSharded(path, openFile) : openFile(path);
}

function openFile(path: string): Weights {
  const { isFile, size } = Deno.statSync(path);
  if (!isFile) throw new Error(`Cannot read "${path}": it is no file`);
  const first = readRange(path, 0, Math.min(size, 9));
  // The header of safetensors is an object; torch's files never have a brace there.
  const isSafetensors = first[8] === 0x7b || path.endsWith(".safetensors");
  return isSafetensors ? readSafetensors(path).tensors : readTorch(path);
}
