/**
 * Images to be measured: whole data sets and parts of them.
 *
 * @module
 */
import { type Bitmap, fromBytes, toBitmaps } from "../images/pixels.ts";
import { philoxAt } from "../noise/mod.ts";
import { type DataOptions, type Dataset, openDataset } from "../training/data/mod.ts";
import type { Pixels } from "../images/resample.ts";

/**
 * Opens a data set, or a part: `mnist#test` is its test split, `mnist#1/2` one half of it, `mnist#2/2`
 * the other, `mnist#test#1/4` a quarter of its test split. Images are dealt to the parts in a random
 * order that is always the same: files are often in order of class, and MNIST's writers take turns.
 *
 * @throws {RangeError} If there is no such part.
 * @throws What {@linkcode openDataset} throws.
 */
export async function openImages(
  spec: string,
  options: Omit<DataOptions, "split">,
): Promise<Dataset> {
  const [name = "", ...parts] = spec.split("#");
  const split = parts[0] === "test" || parts[0] === "train" ? parts.shift() : undefined;
  const data = await openDataset(name, { ...options, split: split === "test" ? "test" : "train" });
  return parts.reduce((data, text) => {
    const [, part, count] = text.match(/^(\d+)\/(\d+)$/) ?? [];
    const [i, n] = [Number(part), Number(count)];
    if (!(i >= 1 && i <= n && n <= data.length)) {
      throw new RangeError(
        `Cannot take part "${text}" of ${spec}: it must be train, test or I/N with I from 1 to N, as in mnist#1/2`,
      );
    }
    const order = philoxAt(0, n).permutation(data.length);
    return subset(data, order.filter((_, place) => place % n === i - 1).sort());
  }, data);
}

/** Some of a data set's images, renumbered. */
export function subset(data: Dataset, indices: Uint32Array): Dataset {
  return {
    ...data,
    length: indices.length,
    batch: (chosen) => data.batch(Array.from(chosen, (index) => indices[index] ?? -1)),
  };
}

/** Bitmaps of one size as a data set; without names of classes the labels say nothing. */
export function fromBitmaps(
  bitmaps: readonly Bitmap[],
  labels: Int32Array,
  names: readonly string[],
): Dataset {
  const { width = 0, height = 0, channels = 1 } = bitmaps[0] ?? {};
  const span = height * width * channels;
  return {
    length: bitmaps.length,
    height,
    width,
    channels,
    labels: names,
    batch(indices) {
      const images = new Float32Array(indices.length * span);
      Array.from(indices).forEach((index, i) =>
        fromBytes(bitmaps[index]!.pixels, images, i * span)
      );
      return Promise.resolve({
        images,
        labels: Int32Array.from(indices, (index) => labels[index]!),
      });
    },
  };
}

/** Images of a data set as bitmaps, as a PNG would hold them, with their labels. */
export async function bitmapsAt(
  data: Dataset,
  indices: readonly number[],
): Promise<{ readonly bitmaps: readonly Bitmap[]; readonly labels: Int32Array }> {
  const { images, labels } = await data.batch(indices);
  const { height, width, channels } = data;
  return { bitmaps: toBitmaps(images, [indices.length, height, width, channels]), labels };
}

/** Bitmaps of one size, as extractors take them. */
export function pixelsOf(bitmaps: readonly Bitmap[]): Pixels {
  const { width = 0, height = 0, channels = 1 } = bitmaps[0] ?? {};
  const span = height * width * channels;
  const values = new Float32Array(bitmaps.length * span);
  bitmaps.forEach(({ pixels }, index) => values.set(pixels, index * span));
  return { values, shape: [bitmaps.length, height, width, channels] };
}

/** How large images are, for messages and comparisons. */
export function sizeText(
  { width, height, channels }: Pick<Dataset, "width" | "height" | "channels">,
): string {
  return `${width}x${height}${channels === 1 ? " grey" : ""}`;
}
