import type { SharpConstructor } from "sharp";

/** The function `sharp()`. */
export type Sharp = SharpConstructor;

/**
 * Loads sharp, on first use: it is native code and takes `--allow-ffi`, `--allow-env` and
 * `--allow-read`.
 *
 * @throws {Error} If it cannot be fetched or loaded.
 */
export async function loadSharp(): Promise<Sharp> {
  // Not a literal: Deno fetches literal imports before a program starts.
  const name = "sharp";
  try {
    return (await import(name)).default as Sharp;
  } catch (error) {
    const why = (error as Error).message.split("\n")[0];
    throw new Error(`Cannot load sharp, which decodes images: ${why}`);
  }
}
