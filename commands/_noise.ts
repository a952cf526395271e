import { parseSeed, type Seed } from "../noise/mod.ts";

/** The flag of the generator, the same wherever noise is drawn. */
export const rng = {
  type: "string",
  choices: ["philox", "torch"],
  default: "philox",
  help: "generator of the noise; torch equals torch.Generator('cpu')",
} as const;

/** The seed that was typed, or a random one. Throws a RangeError where it is none. */
export function seedOf(text: string | undefined): Seed {
  return text === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 : parseSeed(text);
}
