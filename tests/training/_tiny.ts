import * as tf from "tfjs";
import { philoxAt } from "../../noise/mod.ts";
import type { Dataset } from "../../training/data/mod.ts";

/** The smallest class-conditional UNet with attention and two levels, for {@linkcode stripes}. */
export const TINY = {
  sample_size: 8,
  in_channels: 1,
  out_channels: 1,
  block_out_channels: [8, 8],
  down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
  up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 4,
  num_class_embeds: 3,
} as const;

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

/** Images of stripes, upright in class 0 and level in class 1, with a little noise. */
export function stripes(length: number, edge = 8): Dataset {
  const area = edge * edge;
  const noise = philoxAt(3, 0).normal(length * area);
  return {
    ...plainData(length, 2, edge),
    batch(indices) {
      const images = new Float32Array(indices.length * area);
      const labels = Int32Array.from(indices, (index) => index % 2);
      Array.from(indices).forEach((index, i) => {
        for (let pixel = 0; pixel < area; pixel++) {
          const across = labels[i] === 0 ? pixel % edge : Math.floor(pixel / edge);
          const bright = across % 4 < 2;
          images[i * area + pixel] = (bright ? 0.8 : -0.8) + 0.1 * noise[index * area + pixel]!;
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
