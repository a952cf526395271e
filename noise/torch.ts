/**
 * The random numbers of `torch.Generator("cpu")`, so that results can be set beside PyTorch's.
 *
 * Matsumoto, Nishimura: Mersenne Twister (1998), https://doi.org/10.1145/272991.272995. How torch
 * makes floats, normals, integers and permutations of its words follows its behavior; that of
 * version 2.8 is what the tests compare with.
 *
 * @module
 */
import { exactSeed, parseSeed, type Seed, seedWords } from "./seed.ts";
import { assertBelow, type NoiseStream, type TorchState } from "./stream.ts";

const SIZE = 624;
const SHIFT = 397;

/** From here on torch takes remainders of 64 bits, since those of 32 would be too uneven. */
const WIDE_RANGE = 2 ** 28;

/** torch shuffles by another algorithm from here on. */
const LARGE_PERMUTATION = Math.floor((2 ** 32 - 1) / 20);

/** A `torch.Generator` of the CPU; every method advances it as torch's own does. */
export interface TorchGenerator extends NoiseStream {
  /** The next 32 bits of the Mersenne Twister, unsigned. */
  word(): number;
  /**
   * `torch.randn` in float32. Below 16 elements it takes them one by one, in double precision;
   * from 16 on in groups of 16, and the last 16 are drawn again where the count is no multiple of
   * 16: so it is the number of elements that counts, not their shape. From 16 on, torch's own
   * code paths differ from each other by up to 1.2e-6, and this one from each of them.
   */
  randn(count: number): Float32Array<ArrayBuffer>;
  /** `torch.randn` in float64. */
  randnDouble(count: number): Float64Array<ArrayBuffer>;
  /** `torch.rand` in float32, in [0, 1). */
  rand(count: number): Float32Array<ArrayBuffer>;
  /** `torch.rand` in float64, in [0, 1). */
  randDouble(count: number): Float64Array<ArrayBuffer>;
  /**
   * `torch.randint(low, high)`: integers in [low, high), as exact doubles. They are remainders, so
   * that of just below 2²⁸ values some come 6 % more often than others.
   *
   * @throws {RangeError} If a limit is no safe integer or the range is empty.
   */
  randint(low: number, high: number, count: number): Float64Array<ArrayBuffer>;
  /**
   * `torch.randperm`.
   *
   * @throws {RangeError} If `count` is above 214 748 363, where torch takes another algorithm.
   */
  randperm(count: number): Uint32Array<ArrayBuffer>;
  /** The state of the Mersenne Twister, and the normal that waits. */
  state(): TorchState;
}

/**
 * `torch.Generator("cpu").manual_seed(seed)`. Of the seed only the low 32 bits count, as in torch.
 *
 * @param seed From 0 to 2⁶⁴ - 1.
 *
 * @throws {RangeError} If the seed is out of range.
 */
export function torchGenerator(seed: Seed): TorchGenerator {
  const words = new Int32Array(SIZE);
  words[0] = seedWords(seed)[0];
  for (let i = 1; i < SIZE; i++) {
    const before = words[i - 1] ?? 0;
    words[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
  }
  return generator(`${exactSeed(seed)}`, words, SIZE, null);
}

/**
 * The generator that continues where another one stood.
 *
 * @throws {RangeError} If the state is none of a Mersenne Twister.
 */
export function resumeTorch({ seed, words, index, spare }: TorchState): TorchGenerator {
  parseSeed(seed);
  if (words.length !== SIZE || !Number.isInteger(index) || index < 0 || index > SIZE) {
    throw new RangeError(
      `Cannot resume a torch generator: ${words.length} words and index ${index}` +
        ` must be ${SIZE} words and an index between 0 and ${SIZE}`,
    );
  }
  return generator(seed, Int32Array.from(words), index, spare);
}

function generator(
  seed: string,
  words: Int32Array,
  index: number,
  spare: number | null,
): TorchGenerator {
  function word(): number {
    if (index === SIZE) {
      twist(words);
      index = 0;
    }
    let bits = words[index++] ?? 0;
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  const single = () => (word() & 0xffffff) * 2 ** -24;

  /** 53 bits of a 64-bit number, whose high half is drawn first. */
  const double = () => ((word() & 0x1fffff) * 2 ** 32 + word()) * 2 ** -53;

  /** One normal of fewer than 16: pairs in double precision, the second kept for the next call. */
  function normal(): number {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const angle = 2 * Math.PI * double();
    const radius = Math.sqrt(-2 * Math.log1p(-double()));
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  function fill<T extends Float32Array | Float64Array>(
    out: T,
    uniform: () => number,
    pair: (out: T, at: number) => void,
  ): T {
    if (out.length < 16) {
      for (let i = 0; i < out.length; i++) out[i] = normal();
      return out;
    }
    for (let i = 0; i < out.length; i++) out[i] = uniform();
    for (let at = 0; at + 16 <= out.length; at += 16) {
      for (let i = at; i < at + 8; i++) pair(out, i);
    }
    if (out.length % 16 !== 0) {
      const at = out.length - 16;
      for (let i = at; i < out.length; i++) out[i] = uniform();
      for (let i = at; i < at + 8; i++) pair(out, i);
    }
    return out;
  }

  function integer(range: number): number {
    if (range < WIDE_RANGE) return word() % range;
    const high = BigInt(word());
    return Number((high << 32n | BigInt(word())) % BigInt(range));
  }

  const randn = (count: number) => fill(new Float32Array(count), single, singlePair);
  const rand = (count: number) => new Float32Array(count).map(single);

  function randperm(count: number): Uint32Array<ArrayBuffer> {
    if (count >= LARGE_PERMUTATION) {
      throw new RangeError(
        `Cannot permute ${count} integers as torch: the count must be below ${LARGE_PERMUTATION}`,
      );
    }
    const out = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = 0; i < count - 1; i++) {
      const chosen = i + word() % (count - i);
      [out[i], out[chosen]] = [out[chosen] ?? 0, out[i] ?? 0];
    }
    return out;
  }

  return {
    word,
    randn,
    randnDouble: (count) => fill(new Float64Array(count), double, doublePair),
    rand,
    randDouble: (count) => new Float64Array(count).map(double),
    randint(low, high, count) {
      const range = high - low;
      if (![low, high, range].every(Number.isSafeInteger) || range < 1) {
        throw new RangeError(
          `Cannot draw integers from ${low} to ${high}: the limits must be safe integers, and the` +
            ` first below the second`,
        );
      }
      return new Float64Array(count).map(() => low + integer(range));
    },
    randperm,
    normal: randn,
    uniform: rand,
    integers(count, below) {
      assertBelow(below);
      return new Uint32Array(count).map(() => integer(below));
    },
    permutation: randperm,
    state: () => ({ kind: "torch", seed, words: Array.from(words, (w) => w >>> 0), index, spare }),
  };
}

/** Box-Muller of the uniforms at `at` and 8 behind, each operation rounded to float32 as torch's. */
function singlePair(out: Float32Array, at: number): void {
  const { fround } = Math;
  const radius = fround(Math.sqrt(-2 * fround(Math.log(1 - (out[at] ?? 0)))));
  const angle = fround(fround(2 * Math.PI) * (out[at + 8] ?? 0));
  out[at] = radius * fround(Math.cos(angle));
  out[at + 8] = radius * fround(Math.sin(angle));
}

/** Box-Muller of the uniforms at `at` and 8 behind. */
function doublePair(out: Float64Array, at: number): void {
  const radius = Math.sqrt(-2 * Math.log(1 - (out[at] ?? 0)));
  const angle = 2 * Math.PI * (out[at + 8] ?? 0);
  out[at] = radius * Math.cos(angle);
  out[at + 8] = radius * Math.sin(angle);
}

/** Makes the next 624 words of the state, in place. */
function twist(words: Int32Array): void {
  for (let i = 0; i < SIZE; i++) {
    const bits = ((words[i] ?? 0) & 0x80000000) | ((words[(i + 1) % SIZE] ?? 0) & 0x7fffffff);
    const odd = bits & 1 ? 0x9908b0df : 0;
    words[i] = (words[(i + SHIFT) % SIZE] ?? 0) ^ (bits >>> 1) ^ odd;
  }
}
