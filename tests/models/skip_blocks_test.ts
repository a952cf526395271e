import { assertAlmostEquals, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { firDownsample, firUpsample } from "../../models/skip_blocks.ts";
import { philoxAt } from "../../noise/mod.ts";

const FIR = [1, 3, 3, 1];

/**
 * One axis by definition: zeros between (`up` 2), zeros around, the filter, every `down`-th value.
 * With a gain of `up` the sum of the signal stays the same (Karras et al. 2020, `upfirdn_2d`).
 */
function upfirdn(
  line: number[],
  up: number,
  down: number,
  before: number,
  after: number,
): number[] {
  const spread = line.flatMap((value) => [value, ...new Array<number>(up - 1).fill(0)]);
  const padded = [
    ...new Array<number>(before).fill(0),
    ...spread,
    ...new Array<number>(after).fill(0),
  ];
  const filtered = Array.from(
    { length: padded.length - 3 },
    (_, i) => FIR.reduce((sum, weight, k) => sum + weight * padded[i + k]!, 0) * up / 8,
  );
  return filtered.filter((_, i) => i % down === 0);
}

function alongBoth(image: number[][], line: (values: number[]) => number[]): number[][] {
  const transpose = (rows: number[][]) => rows[0]!.map((_, i) => rows.map((row) => row[i]!));
  return transpose(transpose(image.map(line)).map(line));
}

for (
  const { name, resample, line } of [
    {
      name: "firUpsample",
      resample: firUpsample,
      line: (row: number[]) => upfirdn(row, 2, 1, 2, 1),
    },
    {
      name: "firDownsample",
      resample: firDownsample,
      line: (row: number[]) => upfirdn(row, 1, 2, 1, 1),
    },
  ]
) {
  Deno.test(`${name}() is the filter [1, 3, 3, 1] by definition`, async () => {
    await tf.setBackend("cpu");
    tf.tidy(() => {
      const [height, width] = [4, 6];
      const x = tf.tensor4d(philoxAt(2, 0).normal(2 * height * width * 3), [2, height, width, 3]);
      const planes = tf.transpose(x, [0, 3, 1, 2]).arraySync();
      const expected = planes.map((channels) => channels.map((plane) => alongBoth(plane, line)));
      const actual = tf.transpose(resample(x), [0, 3, 1, 2]);
      const theirs = tf.tensor4d(expected);
      assertEquals(actual.shape, theirs.shape);
      const values = theirs.dataSync();
      actual.dataSync().forEach((value, i) => assertAlmostEquals(value, values[i]!, 1e-6));
    });
  });

  Deno.test(`${name}() has the gradient of its transpose`, async () => {
    await tf.setBackend("cpu");
    tf.tidy(() => {
      const x = tf.tensor4d(philoxAt(2, 0).normal(96), [2, 4, 4, 3]);
      const y = resample(x);
      const dy = tf.tensor4d(philoxAt(2, 1).normal(y.size), y.shape);
      const dx = tf.grad((x) => resample(x as tf.Tensor4D))(x, dy);
      // It is linear: <dy, A x> = <Aᵀ dy, x>.
      const [there, back] = [tf.sum(tf.mul(dy, y)), tf.sum(tf.mul(dx, x))];
      assertAlmostEquals(there.dataSync()[0]!, back.dataSync()[0]!, 1e-4);
    });
  });
}
