import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { eagerEngine } from "../../engines/eager.ts";
import { type ImageBatch, measuredBatches } from "../../evaluation/measured_images.ts";
import { loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import { writeTiny } from "../commands/_tiny.ts";
import { onCpu, plainData } from "../training/_tiny.ts";

Deno.test("measuredBatches() gives the first images unchanged and in order, with their labels", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await onCpu(async () => {
      await writeTiny(join(folder, "tiny"));
      const denoiser = loadDenoiser(
        openModel(join(folder, "tiny")),
        eagerEngine("cpu", "the test"),
      );
      const data = plainData(40, 3, 8);
      const read = async (own: typeof data) => {
        const batches: ImageBatch[] = [];
        const portion = { count: 7, batchSize: 3, seed: 100 };
        for await (const batch of measuredBatches(denoiser, own, portion)) batches.push(batch);
        const all = <T>(part: (batch: ImageBatch) => Iterable<T>) =>
          batches.flatMap((batch) => [...part(batch)]);
        const made = {
          sizes: batches.map(({ x0 }) => x0.shape[0]),
          pixels: all(({ x0 }) => x0.dataSync()),
          labels: all(({ labels }) => labels?.dataSync() ?? []),
          seeds: all(({ seeds }) => seeds),
        };
        tf.dispose(batches.flatMap(({ x0, labels }) => [x0, ...labels ? [labels] : []]));
        return made;
      };
      const { images, labels } = await data.batch([0, 1, 2, 3, 4, 5, 6]);
      const made = await read(data);
      assertEquals(made.sizes, [3, 3, 1]);
      assertEquals(made.pixels, [...images]);
      assertEquals(made.labels, [...labels]);
      assertEquals(made.seeds, [100, 101, 102, 103, 104, 105, 106]);
      // The tiny model's fourth class stands for none.
      assertEquals((await read({ ...data, labels: [] })).labels, new Array(7).fill(3));
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
