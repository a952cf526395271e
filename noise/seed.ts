/**
 * Seeds: integers from 0 to 2⁶⁴ - 1, exact beyond the 2⁵³ of a number.
 *
 * @module
 */

/** An integer from 0 to 2⁶⁴ - 1: a number up to 2⁵³ - 1, a bigint for any. */
export type Seed = number | bigint;

const LIMIT = 1n << 64n;

/**
 * The seed as a bigint.
 *
 * @throws {RangeError} If the seed is no integer from 0 to 2⁶⁴ - 1, or a number above 2⁵³ - 1,
 * which may no longer be the one that was written down.
 */
export function exactSeed(seed: Seed): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    const reason = Number.isInteger(seed)
      ? "a seed above 2^53 - 1 must be a bigint"
      : "a seed must be an integer";
    throw new RangeError(`Cannot use ${seed} as a seed: ${reason}`);
  }
  const exact = BigInt(seed);
  if (exact < 0n || exact >= LIMIT) {
    throw new RangeError(`Cannot use ${seed} as a seed: a seed must be between 0 and 2^64 - 1`);
  }
  return exact;
}

/** The low and the high 32 bits of a seed, unsigned. Throws as {@linkcode exactSeed} does. */
export function seedWords(seed: Seed): [low: number, high: number] {
  const exact = exactSeed(seed);
  return [Number(exact & 0xffffffffn), Number(exact >> 32n)];
}

/**
 * Reads a seed that a person wrote: decimal digits.
 *
 * @throws {RangeError} If the text is no integer from 0 to 2⁶⁴ - 1.
 */
export function parseSeed(text: string): Seed {
  if (!/^\d{1,20}$/.test(text)) {
    throw new RangeError(
      `Cannot use "${text}" as a seed: a seed must be an integer between 0 and 2^64 - 1`,
    );
  }
  return shortest(exactSeed(BigInt(text)));
}

/**
 * The seeds of `count` images of a run: image i of a run with seed s is the first image of a run
 * with seed s + i. Sums are exact and wrap around at 2⁶⁴.
 *
 * @param first The index of the first image, for a run that is split into shards.
 *
 * @example
 * ```ts
 * import { imageSeeds } from "./seed.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(imageSeeds(7, 3), [7, 8, 9]);
 * assertEquals(imageSeeds(7, 2, 100), [107, 108]);
 * ```
 */
export function imageSeeds(seed: Seed, count: number, first = 0): Seed[] {
  const start = exactSeed(seed) + BigInt(first);
  return Array.from({ length: count }, (_, i) => shortest((start + BigInt(i)) % LIMIT));
}

/** A number where a number is exact, for JSON and for reading. */
function shortest(seed: bigint): Seed {
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}
