import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { guidances } from "../../guidance/mod.ts";
import downsample from "../../guidance/operators/downsample.ts";
import gray from "../../guidance/operators/gray.ts";
import { measured, operators } from "../../guidance/operators/mod.ts";
import { encodePng } from "../../images/png.ts";
import { namesCode } from "../../pipeline/plan.ts";
import { CLEAN } from "../../schedules/mod.ts";
import { choosePlugin } from "../../plugins/load.ts";
import { noiseOf } from "../pipeline/_closed_form.ts";

const x0 = tf.tensor4d(noiseOf(2, [4, 6, 3], 1).draw(), [2, 4, 6, 3]);
const luma = [0.299, 0.587, 0.114];

Deno.test("every operator is one file and one line in the list", () => {
  const files = [...Deno.readDirSync(new URL("../../guidance/operators/", import.meta.url))]
    .map(({ name }) => name).filter((name) => !["mod.ts", "operator.ts"].includes(name));
  assertEquals(files.sort(), Object.keys(operators).map((name) => `${name}.ts`).sort());
});

Deno.test("downsample takes the means of blocks, by whole factors alone", () => {
  const small = downsample(x0, { width: 3, height: 2 }).arraySync();
  const values = x0.arraySync();
  let sum = 0;
  for (const y of [2, 3]) for (const x of [4, 5]) sum += values[1]![y]![x]![2]!;
  assertAlmostEquals(small[1]![1]![2]![2]!, sum / 4, 1e-6);
  assertThrows(() => downsample(x0, { width: 4, height: 2 }), RangeError, "must divide the 6x4");
});

Deno.test("gray takes the luma of colors", () => {
  const values = x0.arraySync();
  const [made] = gray(x0, { width: 6, height: 4 }).arraySync();
  const expected = luma.reduce((sum, weight, c) => sum + weight * values[0]![3]![5]![c]!, 0);
  assertAlmostEquals(made![3]![5]![0]!, expected, 1e-6);
});

Deno.test("measured() is the squared distance, as of all values of an image", () => {
  const pixels = Float32Array.of(0.1, -0.2, 0.3, 0.4, 0.5, -0.6);
  const image = { pixels, width: 3, height: 2, channels: 1 } as const;
  const squares = (images: tf.Tensor) =>
    tf.sum(tf.squaredDifference(images, tf.tensor4d(pixels, [1, 2, 3, 1]))).arraySync() as number;
  const loss = measured(downsample, image, "low.png")(x0, CLEAN); // gray is every channel of RGB
  assertAlmostEquals(loss.arraySync() as number, 4 * squares(downsample(x0, image)), 1e-4);
  const wide = measured(gray, image, "low.png");
  assertThrows(() => wide(x0, CLEAN), RangeError, "low.png has 3x2 pixels, the operator makes 6x4");
});

Deno.test("loss takes an operator with an image, and says what is wrong with them", async () => {
  const folder = await Deno.makeTempDir();
  const image = { width: 3, height: 2, channels: 1 } as const;
  await Deno.writeFile(join(folder, "low.png"), encodePng(new Uint8Array(6), image));
  await Deno.writeTextFile(join(folder, "mine.ts"), "export default (x0: unknown) => x0;");
  const load = (text: string) => choosePlugin("guidance", text, guidances, { folder });
  const { loss } = await load("loss,operator=downsample,image=low.png");
  assertAlmostEquals(loss?.(tf.fill([1, 4, 6, 1], -1), CLEAN).arraySync() as number, 0);
  assertEquals(typeof (await load("loss,operator=./mine.ts,image=low.png")).loss, "function");
  for (
    const [text, message] of [
      ["loss", "name a file that exports the loss of x0"],
      ["loss,operator=downsample", "operator and image go together"],
      ["loss,image=low.png", "operator and image go together"],
      ["loss,file=./mine.ts,operator=gray,image=low.png", "give one"],
      ["loss,operator=blur,image=low.png", "it must be downsample or gray"],
      ["loss,operator=./none.ts,image=low.png", "there is no such file"],
    ] as const
  ) await assertRejects(() => load(text), RangeError, message);
  await assertRejects(
    () => load("loss,operator=gray,image=none.png"),
    Deno.errors.NotFound,
    "Cannot find the image",
  );
});

Deno.test("an operator that does not come with the program is code", () => {
  assertEquals(namesCode("guidance", "loss,operator=gray,image=x.png"), false);
  for (const operator of ["./mine.ts", "npm:mine", "toString"]) {
    assertEquals(namesCode("guidance", `loss,operator=${operator},image=x.png`), true);
  }
});
