import * as tf from "tfjs";
import { philoxAt } from "../../noise/mod.ts";
import type { Dataset } from "../../training/data/mod.ts";

/** A data set in memory whose image i is all `i / length` and has label `i % classes`. */
export function plainData(length: number, classes: number, edge = 2): Dataset {
  return {
    length,
    height: edge,
    width: edge,
    channels: 1,
    labels: Array.from({ length: classes }, (_, label) => `class ${label}`),
    batch(indices) {
      const images = new Float32Array(indices.length * edge * edge);
      const labels = new Int32Array(indices.length);
      Array.from(indices).forEach((index, i) => {
        images.fill(index / length, i * edge * edge, (i + 1) * edge * edge);
        labels[i] = index % classes;
      });
      return Promise.resolve({ images, labels });
    },
  };
}

/** Images of 8x8 that are bright on the half that their label names, with a little noise. */
export function halves(length: number): Dataset {
  const noise = philoxAt(3, 0).normal(length * 64);
  return {
    ...plainData(length, 2, 8),
    batch(indices) {
      const images = new Float32Array(indices.length * 64);
      const labels = new Int32Array(indices.length);
      Array.from(indices).forEach((index, i) => {
        labels[i] = index % 2;
        for (let pixel = 0; pixel < 64; pixel++) {
          const bright = (pixel % 8 < 4) === (labels[i] === 0);
          images[i * 64 + pixel] = (bright ? 0.8 : -0.8) + 0.1 * noise[index * 64 + pixel]!;
        }
      });
      return Promise.resolve({ images, labels });
    },
  };
}

/** Runs a check on the `cpu` backend and sees that it leaves no tensors behind. */
export async function onCpu(check: () => void | Promise<void>): Promise<void> {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  await check();
  const left = tf.memory().numTensors - before;
  if (left !== 0) throw new Error(`${left} tensors are left behind`);
}
