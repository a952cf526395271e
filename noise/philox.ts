/**
 * Philox4x32-10, a counter-based generator: the n-th block of random bits is a function of n and
 * a key, so any draw can be had without those before it.
 *
 * Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3 (2011), section 4.3,
 * https://doi.org/10.1145/2063384.2063405.
 *
 * @module
 */
import { exactSeed, parseSeed, type Seed, seedWords } from "./seed.ts";
import { assertBelow, type NoiseStream, type PhiloxState } from "./stream.ts";

const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9; // golden ratio
const WEYL_1 = 0xbb67ae85; // sqrt(3) - 1

/** Words that are made at a time: small enough for the fastest cache, a multiple of 4. */
const CHUNK = 4096;

/** Four unsigned 32-bit words. */
export type Words = readonly [number, number, number, number];

/**
 * One block: four unsigned words of random bits from a counter and a key.
 *
 * @example
 * ```ts
 * import { philox } from "./philox.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(philox([0, 0, 0, 0], [0, 0])[0], 0x6627e8d5);
 * ```
 */
export function philox(counter: Words, key: readonly [number, number]): Words {
  const words = new Uint32Array(4);
  rounds(words, 0, ...counter, ...key);
  const [a = 0, b = 0, c = 0, d = 0] = words;
  return [a, b, c, d];
}

/**
 * The stream of random numbers of one place: `seed` is the key, and (`step`, `stream`) are half of
 * the counter, so streams and steps never overlap, and training step k needs no history. The other
 * half counts blocks of four words, and every draw starts with a fresh block: two draws of 3 are not
 * one of 6.
 *
 * Normals are Box-Muller pairs of 32-bit uniforms, at most 6.77 in size, computed in double
 * precision and rounded to float32. Integers are unbiased: words that would bias them are skipped.
 *
 * @param seed From 0 to 2⁶⁴ - 1.
 * @param stream What the numbers are for, from 0 to 2³² - 1.
 * @param step When they are for, from 0 to 2³² - 1.
 *
 * @throws {RangeError} If one of them is out of its range.
 *
 * @example
 * ```ts
 * import { philoxAt } from "./philox.ts";
 *
 * const [TIMESTEPS, ORDER] = [1, 2];
 * philoxAt(42, TIMESTEPS, 5000).integers(128, 1000); // the timesteps of training step 5000
 * philoxAt(42, ORDER, 3).permutation(60000); // the order of the images in epoch 3
 * ```
 */
export function philoxAt(seed: Seed, stream = 0, step = 0): NoiseStream {
  return resumePhilox({ kind: "philox", seed: `${exactSeed(seed)}`, stream, step, block: 0 });
}

/**
 * The stream that continues where another one stood.
 *
 * @throws {RangeError} If a number in the state is out of its range.
 */
export function resumePhilox(state: PhiloxState): NoiseStream {
  const { kind, seed, stream, step } = state;
  assertWord("stream", stream);
  assertWord("step", step);
  if (!Number.isSafeInteger(state.block) || state.block < 0) {
    throw new RangeError(`Cannot start at block ${state.block}: blocks are counted from 0`);
  }
  const [key0, key1] = seedWords(parseSeed(seed));
  const words = new Uint32Array(CHUNK);
  let block = state.block;

  /** Gives `count` words in chunks of a multiple of 4, then skips what the last block has left. */
  function draw(count: number, use: (chunk: Uint32Array, at: number) => void): void {
    for (let at = 0; at < count; at += CHUNK) {
      const size = Math.min(CHUNK, Math.ceil((count - at) / 4) * 4);
      for (let i = 0; i < size; i += 4) {
        rounds(words, i, block % 2 ** 32, step, stream, Math.floor(block / 2 ** 32), key0, key1);
        block++;
      }
      use(words.subarray(0, Math.min(size, count - at)), at);
    }
  }

  /** Four words at a time, for draws that cannot know how many they need. */
  function unbiased(): (below: number) => number {
    let [next, chunk] = [4, words];
    return (below) => {
      const limit = 2 ** 32 - 2 ** 32 % below;
      for (;;) {
        if (next === 4) draw(4, (fresh) => [next, chunk] = [0, fresh.slice()]);
        const word = chunk[next++] ?? 0;
        if (word < limit) return word % below;
      }
    };
  }

  return {
    normal(count) {
      const out = new Float32Array(count);
      // Pairs of normals from pairs of words; an odd last one leaves its partner behind.
      draw(count + count % 2, (chunk, at) => boxMuller(chunk, out, at));
      return out;
    },
    uniform(count) {
      const out = new Float32Array(count);
      draw(count, (chunk, at) => {
        for (let i = 0; i < chunk.length; i++) out[at + i] = ((chunk[i] ?? 0) >>> 8) * 2 ** -24;
      });
      return out;
    },
    integers(count, below) {
      assertBelow(below);
      const next = unbiased();
      return Uint32Array.from({ length: count }, () => next(below));
    },
    permutation(count) {
      const next = unbiased();
      const out = Uint32Array.from({ length: count }, (_, i) => i);
      for (let last = count - 1; last > 0; last--) { // Fisher-Yates
        const chosen = next(last + 1);
        [out[last], out[chosen]] = [out[chosen] ?? 0, out[last] ?? 0];
      }
      return out;
    },
    state: () => ({ kind, seed, stream, step, block }),
  };
}

/** Writes the block of a counter and a key to four words from `at` on. */
function rounds(
  words: Uint32Array,
  at: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): void {
  for (let round = 0; round < ROUNDS; round++) {
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    const high0 = high(MULTIPLIER_0 & 0xffff, MULTIPLIER_0 >>> 16, c0);
    const high1 = high(MULTIPLIER_1 & 0xffff, MULTIPLIER_1 >>> 16, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  words[at] = c0;
  words[at + 1] = c1;
  words[at + 2] = c2;
  words[at + 3] = c3;
}

/** The high half of a 64-bit product of two words, one of them given by its two halves. */
function high(low16: number, high16: number, word: number): number {
  const a = word & 0xffff;
  const b = word >>> 16;
  const middle0 = Math.imul(low16, b);
  const middle1 = Math.imul(high16, a);
  const carry = (Math.imul(low16, a) >>> 16) + (middle0 & 0xffff) + (middle1 & 0xffff);
  return (Math.imul(high16, b) + (middle0 >>> 16) + (middle1 >>> 16) + (carry >>> 16)) | 0;
}

/** Turns words into normals, two by two; where `out` ends, the rest is dropped. */
function boxMuller(words: Uint32Array, out: Float32Array, at: number): void {
  for (let i = 0; i + 1 < words.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(((words[i] ?? 0) + 0.5) * 2 ** -32)); // never log(0)
    const angle = 2 * Math.PI * 2 ** -32 * (words[i + 1] ?? 0);
    out[at + i] = radius * Math.cos(angle);
    if (at + i + 1 < out.length) out[at + i + 1] = radius * Math.sin(angle);
  }
}

function assertWord(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
    throw new RangeError(
      `Cannot use ${name} ${value}: it must be an integer between 0 and 2^32 - 1`,
    );
  }
}
