import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { openEngine } from "../../engines/mod.ts";
import { trace } from "../../engines/onnx.ts";
import { extractSide } from "../../evaluation/extract.ts";
import { chooseFeatures } from "../../evaluation/features/mod.ts";
import { openImages, subset } from "../../evaluation/images.ts";
import accuracy from "../../evaluation/metrics/accuracy.ts";
import type { Preprocess } from "../../evaluation/resize.ts";
import { check } from "../commands/_main.ts";
import { words } from "./_formula.ts";

const bytes = (count: number) => Float32Array.from(words(count, 5), (word) => word >>> 24);

/** What an extractor sees in three images of 4x6 pixels. */
async function see(text: string, channels: 1 | 3, preprocess: Preprocess = "none") {
  const engine = await openEngine("cpu");
  const extractor = await (await chooseFeatures(text, preprocess)).open(engine);
  try {
    return await extractor.extract({ values: bytes(72 * channels), shape: [3, 4, 6, channels] });
  } finally {
    await extractor.dispose();
    await engine.dispose();
  }
}

/** An ONNX file: channel means as features, their doubles as logits. */
async function writeMeans(path: string, shape: number[]): Promise<void> {
  const model = trace(
    (_, x) => {
      const means = tf.mean(x!, [2, 3]);
      return [means, tf.mul(means, 2)];
    },
    new Map(),
    [shape],
  );
  await Deno.writeFile(path, model);
}

/** The mean of each image and channel, of bytes. */
function means(channels: number): number[] {
  const values = bytes(72 * channels);
  return Array.from({ length: 3 * channels }, (_, at) => {
    const [image, channel] = [Math.floor(at / channels), at % channels];
    const own = values.subarray(image * 24 * channels, (image + 1) * 24 * channels);
    return own.filter((_, i) => i % channels === channel).reduce((sum, it) => sum + it / 24, 0);
  });
}

check(
  "an ONNX file reads NCHW in the range that it is told, in batches of its own",
  async (folder) => {
    const path = join(folder, "means.onnx");
    await writeMeans(path, [2, 3, 4, 6]); // two at once, so that the second run is half empty
    const ranges: [string, Preprocess, (byte: number) => number][] = [
      ["", "none", (byte) => byte / 127.5 - 1],
      [",range=byte", "none", (byte) => byte],
      [",range=unit", "none", (byte) => byte / 255],
      ["", "fid", (byte) => (byte - 128) / 128],
    ];
    for (const [range, preprocess, scale] of ranges) {
      const { features } = await see(path + range, 3, preprocess);
      assertEquals([features.rows, features.columns], [3, 3]);
      means(3).forEach((mean, i) =>
        assertAlmostEquals(features.values[i]!, scale(mean), 1e-5 * 255, `${range} ${preprocess}`)
      );
    }
    const grey = await see(`${path},range=byte`, 1); // as RGB
    means(1).forEach((mean, i) => {
      for (const c of [0, 1, 2]) assertAlmostEquals(grey.features.values[3 * i + c]!, mean, 1e-3);
    });
  },
);

check("an ONNX file that takes no such images is refused", async (folder) => {
  const [flat, large] = [join(folder, "flat.onnx"), join(folder, "large.onnx")];
  await Deno.writeFile(flat, trace((_, x) => [tf.mul(x!, 2)], new Map(), [[1, 8]]));
  await assertRejects(
    () => see(flat, 1),
    TypeError,
    "its input is [1, 8]; it must be one of float32",
  );
  await writeMeans(large, [1, 1, 8, 8]);
  await assertRejects(() => see(large, 1), RangeError, "it reads 8x8; --size");
  await Deno.writeTextFile(join(folder, "no.onnx"), "nothing");
  await assertRejects(() => see(join(folder, "no.onnx"), 1), TypeError, "Cannot use features");
});

check("a file of one's own is an extractor", async (folder) => {
  const path = join(folder, "mine.js");
  await Deno.writeTextFile(
    path,
    `export default {
      name: "mine",
      summary: "the first pixel, times a factor",
      paper: "https://example.org/",
      options: { factor: { type: "number", default: 1, help: "of it" } },
      open: async ({ options: { factor } }) => ({
        extract: async ({ values, shape: [rows, height, width, channels] }) => ({
          features: {
            rows,
            columns: 1,
            values: Float32Array.from({ length: rows }, (_, i) =>
              factor * values[i * height * width * channels]),
          },
        }),
        dispose: async () => {},
      }),
    };`,
  );
  const { features } = await see(`${path},factor=3`, 1);
  assertEquals([...features.values], [0, 24, 48].map((at) => 3 * bytes(72)[at]!));
  await assertRejects(() => chooseFeatures(`${path},factr=3`), RangeError, "did you mean factor?");
  await Deno.writeTextFile(join(folder, "no.js"), "export default {};");
  await assertRejects(
    () => chooseFeatures(join(folder, "no.js")),
    TypeError,
    "no default export with open()",
  );
});

Deno.test("the bundled features read handwritten digits", async () => {
  const data = subset(
    await openImages("mnist#test", {}),
    Uint32Array.from({ length: 300 }, (_, i) => i),
  );
  const engine = await openEngine("auto");
  const extractor = await (await chooseFeatures("digits")).open(engine);
  const side = await extractSide(data, { extractor, preprocess: "none", batchSize: 100 });
  await engine.dispose();
  assertEquals([side.features?.columns, side.spatial?.columns, side.logits?.columns], [
    64,
    448,
    10,
  ]);
  const evidence = { samples: side, reference: side, distances: () => Promise.resolve() };
  const [figure] = await accuracy.measure(evidence);
  assert((figure?.value ?? 0) > 0.98, `${figure?.value}`);
});

Deno.test("openImages() deals a data set to parts that share no image", async () => {
  const whole = await openImages("mnist#test", {});
  const halves = await Promise.all(
    ["1/2", "2/2"].map((part) => openImages(`mnist#test#${part}`, {})),
  );
  assertEquals(halves.map(({ length }) => length), [5000, 5000]);
  const count = async (data: typeof whole) => {
    const { images } = await data.batch(Array.from({ length: data.length }, (_, i) => i));
    return images.reduce((sum, value) => sum + (value + 1) / 2, 0);
  };
  const [all, first, second] = await Promise.all([whole, ...halves].map(count));
  assertAlmostEquals(first! + second!, all!, all! * 1e-9);
  assert(Math.abs(first! - second!) < 0.02 * all!);
});
