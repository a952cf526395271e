import { assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import type { Compiled } from "../../../engines/engine.ts";
import { inHalves } from "../../../engines/onnx/halves.ts";

/** A network that writes down the batches it was given, and multiplies. */
function recorder(factor: number, seen: number[][]): Compiled {
  return (...inputs) => {
    seen.push(inputs.map(({ shape }) => shape[0] ?? 1));
    return Promise.resolve(inputs.map((input) => tf.mul(input, factor)));
  };
}

function network() {
  const seen = { whole: [] as number[][], first: [] as number[][], second: [] as number[][] };
  const halves = [recorder(10, seen.first), recorder(100, seen.second)];
  return { seen, run: inHalves(recorder(1, seen.whole), halves) };
}

Deno.test("inHalves gives each half of a batch to one network, and joins the answers", async () => {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const { seen, run } = network();
  const [x, t] = [tf.tensor2d([[1, 2], [3, 4], [5, 6]]), tf.tensor1d([7, 8, 9])];
  const answers = await run(x, t);
  assertEquals(answers.map((answer) => answer.arraySync()), [
    [[10, 20], [30, 40], [500, 600]],
    [70, 80, 900],
  ]);
  assertEquals(seen, { whole: [], first: [[2, 2]], second: [[1, 1]] });
  tf.dispose([x, t, answers]);
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("inHalves leaves whole what has one image, or inputs of several batches", async () => {
  const { seen, run } = network();
  const [one, two] = [tf.ones([1, 2]), tf.ones([2, 2])];
  tf.dispose([await run(one, one), await run(two, one), one, two]);
  assertEquals(seen, { whole: [[1, 1], [2, 1]], first: [], second: [] });
});

Deno.test("inHalves leaves no tensor behind where a half fails", async () => {
  const before = tf.memory().numTensors;
  const broken: Compiled = () => Promise.reject(new Error("no memory"));
  const x = tf.ones([2, 2]);
  await assertRejects(() => inHalves(broken, [broken, broken])(x), Error, "no memory");
  x.dispose();
  assertEquals(tf.memory().numTensors, before);
});
