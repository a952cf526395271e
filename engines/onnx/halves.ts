/**
 * A batch as two halves that are computed side by side.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled } from "../engine.ts";

/**
 * Computes a network of independent images. One session leaves threads idle where it works in one of
 * them alone, as ONNX Runtime turns images around for convolutions in bytes; two sessions do not.
 *
 * @param whole Computes what cannot be divided, such as one image
 * @param halves Each with half the threads
 */
export function inHalves(whole: Compiled, halves: readonly Compiled[]): Compiled {
  const run: Compiled = async (...inputs) => {
    const [batch = 1] = inputs[0]?.shape ?? [];
    if (batch < 2 || inputs.some(({ shape }) => shape[0] !== batch)) return await whole(...inputs);
    const first = Math.ceil(batch / 2);
    const parts = inputs.map((input) => tf.split(input, [first, batch - first]));
    const answers: tf.Tensor[][] = [];
    try {
      answers.push(
        ...await Promise.all(halves.map((half, index) => {
          return half(...parts.flatMap((part) => part[index] ?? []));
        })),
      );
      const [left = [], right = []] = answers;
      return left.map((answer, index) => tf.concat([answer, ...right.slice(index, index + 1)]));
    } finally {
      tf.dispose([parts, answers]);
    }
  };
  run.release = async () => {
    for (const part of [whole, ...halves]) await part.release?.();
  };
  return run;
}
