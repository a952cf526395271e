import { assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import { combine, type Images } from "../../plugin.ts";
import "./_closed_form.ts";

const images = (...values: number[]): Images => tf.tensor4d(values, [1, 1, values.length, 1]);
const never = (): Images => {
  throw new Error("it was drawn");
};

Deno.test("combine() is a weighted sum", () => {
  const [a, b] = [images(1, 2), images(3, -4)];
  assertEquals([...combine([2, a], [0.5, b]).dataSync()], [3.5, 2]);
  assertEquals([...combine([2, a], [-1, () => b]).dataSync()], [-1, 8]);
  assertEquals([...combine([3, a]).dataSync()], [3, 6]);
});

Deno.test("combine() takes a weight for each pixel", () => {
  const weights = tf.tensor4d([1, 0], [1, 1, 2, 1]);
  assertEquals([...combine([weights, images(5, 6)], [1, images(1, 1)]).dataSync()], [6, 1]);
});

Deno.test("combine() skips a zero weight, and does not draw a lazy term for it", () => {
  const infinite = images(Infinity, NaN);
  assertEquals([...combine([1, images(1, 2)], [0, infinite]).dataSync()], [1, 2]);
  assertEquals([...combine([0, never], [1, images(1, 2)], [0, never]).dataSync()], [1, 2]);
});

Deno.test("combine() is zero where all weights are, drawing nothing it can do without", () => {
  assertEquals([...combine([0, images(1, NaN)]).dataSync()], [0, 0]);
  assertEquals([...combine([0, never], [0, images(1, 2)]).dataSync()], [0, 0]);
  assertEquals([...combine([0, () => images(1, 2)]).dataSync()], [0, 0]); // for its shape
});

Deno.test("combine() refuses no terms at all", () => {
  assertThrows(() => combine(), TypeError, "Cannot combine images: no term was given");
});

Deno.test("combine() draws a lazy term once, in the order of terms", () => {
  const drawn: number[] = [];
  const term = (value: number) => () => {
    drawn.push(value);
    return images(value);
  };
  assertEquals([...combine([1, term(1)], [0, term(2)], [2, term(3)]).dataSync()], [7]);
  assertEquals(drawn, [1, 3]);
});
