import { assert, assertEquals } from "@std/assert";
import { ensureDir } from "@std/fs";
import { join } from "@std/path";
import { folderOf } from "../_parity.ts";
import { compute, type Found, GUIDANCES, testedEngines, titleOf } from "./_engines.ts";

const LABELS = 10; // of the eleven class embeddings; the last is the null class's

/** The fixtures as a model that guidance can steer. */
async function writeModel(folder: string): Promise<void> {
  const parts = { unet: "unet2d-classcond", classifier: "openai-classifier-attention" };
  for (const [part, fixture] of Object.entries(parts)) {
    await ensureDir(join(folder, part));
    for await (const { name } of Deno.readDir(folderOf(fixture))) {
      await Deno.copyFile(join(folderOf(fixture), name), join(folder, part, name));
    }
  }
  const labels = Array.from({ length: LABELS }, (_, index) => `class ${index}`);
  await Deno.writeTextFile(join(folder, "labels.json"), JSON.stringify(labels));
}

/** What each engine draws. */
async function draw(name: Parameters<typeof compute>[0]): Promise<Found["results"]> {
  const folder = await Deno.makeTempDir();
  try {
    await writeModel(join(folder, "model"));
    return await compute(name, "images", join(folder, "model"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

let reference: Promise<Found["results"]> | undefined;

for (const engine of await testedEngines()) {
  if (engine.name === "cpu") continue;
  Deno.test({
    name: titleOf(engine, "draws the images that the cpu engine draws"),
    ignore: engine.missing !== undefined,
    async fn() {
      const expected = await (reference ??= draw("cpu"));
      const actual = await draw(engine.name);
      assertEquals(Object.keys(actual), GUIDANCES.map(String));
      const drawn = Object.values(expected);
      assertEquals(drawn.map(({ length }) => length), GUIDANCES.map(() => 2 * 8 * 8 * 3));
      assert(new Set(drawn.flat()).size > 500); // pixels, not one color
      for (const [guidance, values] of Object.entries(expected)) {
        const differences = values.map((value, i) =>
          Math.abs(value - (actual[guidance]?.[i] ?? NaN))
        );
        const largest = Math.max(...differences);
        assert(largest <= 1e-3, `${guidance}: pixels differ by ${largest}`);
      }
    },
  });
}
