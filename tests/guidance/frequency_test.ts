import { assert } from "@std/assert";
import * as tf from "tfjs";
import frequency from "../../guidance/frequency.ts";
import { fromX0, type Images } from "../../plugin.ts";
import { noiseOf } from "../pipeline/_closed_form.ts";
import { testGuidance } from "../laws.ts";
import { distance } from "../pipeline/_closed_form.ts";
import { AT, guideOf, valuesOf } from "./_guide.ts";

testGuidance(frequency, {
  settings: [{ low: 0, high: 3 }, { levels: 2 }],
  neutral: { low: 1, high: 1 },
});

type Grid = number[][];
const [HEIGHT, WIDTH] = [8, 6];
const TAPS = [1, 4, 6, 4, 1];
const grid = (height: number, width: number, at: (y: number, x: number) => number): Grid =>
  Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => at(y, x)));
const mirror = (i: number, size: number) => i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;

/** The 5 x 5 binomial kernel over an image that is mirrored at its edges. */
const blur = (image: Grid): Grid =>
  grid(image.length, image[0]?.length ?? 0, (y, x) => {
    let sum = 0;
    for (const [i, a] of TAPS.entries()) {
      for (const [j, b] of TAPS.entries()) {
        const row = image[mirror(y + i - 2, image.length)] ?? [];
        sum += a * b / 256 * (row[mirror(x + j - 2, row.length)] ?? NaN);
      }
    }
    return sum;
  });
const value = (image: Grid, y: number, x: number) => image[y]?.[x] ?? NaN;

/** Bilinear halving of an even size: the mean of four pixels. */
const halve = (image: Grid): Grid =>
  grid(
    image.length / 2,
    (image[0]?.length ?? 0) / 2,
    (y, x) =>
      (value(image, 2 * y, 2 * x) + value(image, 2 * y + 1, 2 * x) +
        value(image, 2 * y, 2 * x + 1) + value(image, 2 * y + 1, 2 * x + 1)) / 4,
  );

/** Bilinear doubling: three quarters of the pixel, a quarter of its neighbor. */
const double = (image: Grid): Grid => {
  const [height, width] = [image.length, image[0]?.length ?? 0];
  const near = (i: number, size: number) =>
    [
      Math.floor(i / 2),
      Math.max(0, Math.min(size - 1, Math.floor(i / 2) + (i % 2 ? 1 : -1))),
    ] as const;
  return grid(2 * height, 2 * width, (y, x) => {
    const [[top, bottom], [left, right]] = [near(y, height), near(x, width)];
    return 9 / 16 * value(image, top, left) + 3 / 16 * value(image, bottom, left) +
      3 / 16 * value(image, top, right) + 1 / 16 * value(image, bottom, right);
  });
};

Deno.test("frequency() guides both parts of a Laplacian pyramid by their own scales", async () => {
  const shape = [HEIGHT, WIDTH, 1] as const;
  const [x, labelled, free] = [1, 2, 3].map((seed) =>
    tf.tensor4d(noiseOf(1, shape, seed).draw(), [1, ...shape])
  );
  if (x === undefined || labelled === undefined || free === undefined) {
    throw new TypeError("No images");
  }
  const gridOf = (images: Images) => {
    const values = valuesOf(images);
    return grid(HEIGHT, WIDTH, (y, x) => values[y * WIDTH + x] ?? NaN);
  };
  const [ours, theirs] = [gridOf(labelled), gridOf(free)];
  const [low, high] = [1.5, 5];
  const bands = [ours, theirs].map((image) => {
    const coarse = blur(double(halve(blur(image))));
    return {
      coarse,
      fine: grid(HEIGHT, WIDTH, (y, x) => value(image, y, x) - value(coarse, y, x)),
    };
  });
  const [with_, without] = bands;
  if (with_ === undefined || without === undefined) throw new TypeError("No bands");
  const mix = (scale: number, a: Grid, b: Grid, y: number, x: number) =>
    value(b, y, x) + scale * (value(a, y, x) - value(b, y, x));
  const expected = grid(
    HEIGHT,
    WIDTH,
    (y, x) =>
      mix(low, with_.coarse, without.coarse, y, x) + mix(high, with_.fine, without.fine, y, x),
  );
  const made = await frequency.guide(
    fromX0(x, AT, labelled),
    guideOf({
      x,
      options: { low, high, levels: 1 },
      unconditional: () => Promise.resolve(fromX0(x, AT, free)),
    }),
  );
  assert(distance(valuesOf(made.x0), expected.flat()) < 1e-5);
});

Deno.test("frequency() takes a difference that is the same everywhere as low, at any size", async () => {
  for (const shape of [[1, 1, 1, 3], [2, 5, 7, 1]] as const) {
    const x = tf.zeros([...shape]) as Images;
    const made = await frequency.guide(
      fromX0(x, AT, tf.ones([...shape]) as Images),
      guideOf({
        x,
        options: { low: 3, high: 9, levels: 3 },
        unconditional: () => Promise.resolve(fromX0(x, AT, x)),
      }),
    );
    assert(distance(valuesOf(made.x0), Array(x.size).fill(3)) < 1e-5);
  }
});
