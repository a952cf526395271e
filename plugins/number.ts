/** What a number must be. */
export interface Limits {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly integer?: boolean | undefined;
}

/** Reads a decimal number; unlike `Number`, nothing empty, hexadecimal or infinite is one. */
export function readNumber(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
}

/** What is wrong with a number, such as `must be between 0 and 1`; undefined if nothing is. */
export function numberFault(value: number, limits: Limits = {}): string | undefined {
  const { min = -Infinity, max = Infinity, integer = false } = limits;
  if (!Number.isFinite(value)) return integer ? "must be a whole number" : "must be a number";
  if (integer && !Number.isSafeInteger(value)) return "must be a whole number";
  if (value >= min && value <= max) return undefined;
  if (max === Infinity) return `must be at least ${min}`;
  return min === -Infinity ? `must be at most ${max}` : `must be between ${min} and ${max}`;
}
