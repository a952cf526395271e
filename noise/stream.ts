/**
 * What every generator of random numbers offers here.
 *
 * @module
 */

/**
 * A source of random numbers whose draws are consumed in order. Two streams of the same kind, seed
 * and key that are asked the same questions give the same answers, on every machine.
 */
export interface NoiseStream {
  /** `count` draws from N(0, 1). */
  normal(count: number): Float32Array<ArrayBuffer>;
  /** `count` draws from [0, 1), multiples of 2⁻²⁴. */
  uniform(count: number): Float32Array<ArrayBuffer>;
  /**
   * `count` integers in [0, below).
   *
   * @throws {RangeError} If `below` is no integer from 1 to 2³².
   */
  integers(count: number, below: number): Uint32Array<ArrayBuffer>;
  /** The integers in [0, count) in random order. */
  permutation(count: number): Uint32Array<ArrayBuffer>;
  /** Where the stream stands: plain data that survives JSON. */
  state(): NoiseState;
}

/** The generators: `philox` is the default, `torch` equals `torch.Generator("cpu")`. */
export type NoiseKind = "philox" | "torch";

/** Where a stream stands, as plain data. */
export type NoiseState = PhiloxState | TorchState;

/** Where a counter-based stream stands. */
export interface PhiloxState {
  /** Which generator it is. */
  readonly kind: "philox";
  /** Decimal digits, since JSON has no bigint. */
  readonly seed: string;
  /** What the numbers are for. */
  readonly stream: number;
  /** When they are for. */
  readonly step: number;
  /** How many blocks of four words were drawn. */
  readonly block: number;
}

/** Where a `torch.Generator` stands. */
export interface TorchState {
  /** Which generator it is. */
  readonly kind: "torch";
  /** Decimal digits, since JSON has no bigint. */
  readonly seed: string;
  /** The 624 words of the Mersenne Twister. */
  readonly words: readonly number[];
  /** The next of the words that is read, up to 624. */
  readonly index: number;
  /** The second half of the last Box-Muller pair, which the next normal below 16 elements is. */
  readonly spare: number | null;
}

/** Raises the error that every generator raises for a wrong range of integers. */
export function assertBelow(below: number): void {
  if (!Number.isInteger(below) || below < 1 || below > 2 ** 32) {
    throw new RangeError(
      `Cannot draw integers below ${below}: the limit must be an integer between 1 and 2^32`,
    );
  }
}
