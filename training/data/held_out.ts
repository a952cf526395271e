import { type DataOptions, type Dataset, openDataset } from "./mod.ts";

/** One image of this many is held out of data that has no test split. */
const SHARE = 20;

/** Training data, and images of the same classes that are never trained on. */
export interface Halves {
  readonly train: Dataset;
  readonly test: Dataset;
  /** True where the data has no test split, so that `test` is a part of its images. */
  readonly divided: boolean;
}

/**
 * Opens training data with what is held out of it: its test split, or else every twentieth image
 * (not the last ones, as files are often in order of class).
 *
 * @throws {RangeError} If the test split has other classes or sizes, or the data is too small.
 * @throws What {@linkcode openDataset} throws.
 */
export async function openHalves(spec: string, options: DataOptions): Promise<Halves> {
  const train = await openDataset(spec, { ...options, split: "train" });
  const test = await openTest(spec, { ...options, channels: train.channels });
  if (test === undefined) {
    if (train.length < SHARE) {
      throw new RangeError(
        `Cannot hold images of ${spec} out: it has ${train.length}, at least ${SHARE} are needed`,
      );
    }
    const held = (index: number) => index % SHARE === SHARE - 1;
    const indices = Array.from({ length: train.length }, (_, index) => index);
    return {
      train: part(train, indices.filter((index) => !held(index))),
      test: part(train, indices.filter(held)),
      divided: true,
    };
  }
  if (test.height !== train.height || test.width !== train.width) {
    throw new RangeError(
      `Cannot use the test split of ${spec}: its images are ${test.width}x${test.height}, those of the training split ${train.width}x${train.height}; give a size`,
    );
  }
  const other = test.labels.find((label, index) => label !== train.labels[index]);
  if (other !== undefined) {
    throw new RangeError(
      `Cannot use the test split of ${spec}: its classes differ from those of the training split, as at "${other}"`,
    );
  }
  return { train, test, divided: false };
}

async function openTest(spec: string, options: DataOptions): Promise<Dataset | undefined> {
  try {
    return await openDataset(spec, { ...options, split: "test" });
  } catch (error) {
    // The training split could be opened with these options, so what is missing is the split.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Some of a data set's images, renumbered. */
function part(data: Dataset, indices: readonly number[]): Dataset {
  return {
    ...data,
    length: indices.length,
    batch: (chosen) => data.batch(Array.from(chosen, (index) => indices[index] ?? -1)),
  };
}
