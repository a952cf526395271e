/**
 * Weights in blocks, for less memory: 32 values that follow each other in a row have one step and are
 * whole multiples of it, as in llama.cpp's formats Q8_0 and Q4_0 (steps are float32 here). Layers
 * take them as float32 while they compute, so activations are not rounded and nothing is calibrated.
 *
 * @module
 */
import { countOf } from "../models/formats/elements.ts";
import type { Blocks, BlockSource, StoredTensor, Weights } from "../models/weights.ts";

/** Bits of a value. */
export type Bits = BlockSource["bits"];

/** Values of a block. */
export const BLOCK = 32;

/** Values in blocks, to the nearest multiple of a step. Their number is a multiple of a block's. */
export function toBlocks(values: Float32Array, bits: Bits): Blocks {
  const steps = new Float32Array(values.length / BLOCK);
  const numbers = new Int8Array(values.length);
  // Four bits reach from -8 to 7: the sign of the step makes the farthest value -8.
  const most = bits === 8 ? 127 : 7;
  for (let start = 0; start < values.length; start += BLOCK) {
    let [size, far] = [0, 0];
    for (let i = start; i < start + BLOCK; i++) {
      const value = values[i] ?? 0;
      if (Math.abs(value) > size) [size, far] = [Math.abs(value), value];
    }
    const step = bits === 8 ? size / 127 : far / -8;
    steps[start / BLOCK] = step;
    const pace = step === 0 ? 0 : 1 / step;
    for (let i = start; i < start + BLOCK; i++) {
      const number = (((values[i] ?? 0) * pace + 128.5) | 0) - 128; // faster than rounding
      numbers[i] = Math.min(number, most);
    }
  }
  return { bytes: bits === 8 ? new Uint8Array(numbers.buffer) : inPairs(numbers), steps };
}

/** Numbers of four bits, two in a byte. */
function inPairs(numbers: Int8Array): Uint8Array {
  const bytes = new Uint8Array(numbers.length / 2);
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = (numbers[2 * at] ?? 0) & 15 | (numbers[2 * at + 1] ?? 0) << 4;
  }
  return bytes;
}

/** The values that blocks stand for. */
export function fromBlocks({ bytes, steps }: Blocks, bits: Bits): Float32Array {
  const low = 32 - bits; // shifted up and down again, a number has its sign
  return Float32Array.from({ length: steps.length * BLOCK }, (_, i) => {
    const byte = bytes[bits === 8 ? i : i >> 1] ?? 0;
    const number = (bits === 4 && i % 2 === 1 ? byte >> 4 : byte) << low >> low;
    return number * (steps[Math.floor(i / BLOCK)] ?? 0);
  });
}

/** Whether a tensor is of whole blocks. Vectors stay float32: they are small, and matter everywhere. */
function hasBlocks({ shape }: StoredTensor): boolean {
  return shape.length > 1 && countOf(shape) % BLOCK === 0;
}

/** A checkpoint whose larger tensors are in blocks; they are made when they are read. */
export function weightsInBlocks(weights: Weights, bits: Bits): Weights {
  // Bytes and steps are asked for one after the other.
  let last: { readonly tensor: StoredTensor; readonly blocks: Blocks } | undefined;
  const blocksOf = (tensor: StoredTensor) => {
    if (last?.tensor !== tensor) last = { tensor, blocks: toBlocks(tensor.read(), bits) };
    return last.blocks;
  };
  const entries = [...weights].map(([name, tensor]): [string, StoredTensor] => {
    if (!hasBlocks(tensor)) return [name, tensor];
    const { shape, dtype } = tensor;
    const blocks = { bits, read: () => blocksOf(tensor) };
    const read = () => fromBlocks(blocksOf(tensor), bits);
    return [name, { name: tensor.name, shape, dtype, read, blocks }];
  });
  return new Map(entries);
}
