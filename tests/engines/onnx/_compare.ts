import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Engine } from "../../../engines/engine.ts";
import { onnxEngine } from "../../../engines/onnx.ts";

/** A function to compare, with the tensors that it is given. */
export interface Case {
  readonly name: string;
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  readonly inputs: () => tf.Tensor[];
  /** Share of the largest magnitude; 1e-5 by default. */
  readonly tolerance?: number;
}

/** Tensors of normal numbers, the same at every call. */
export function normal(...shapes: number[][]): () => tf.Tensor[] {
  return () => shapes.map((shape, index) => tf.randomNormal(shape, 0, 1, "float32", index + 1));
}

/** Tensors of numbers in [low, high), the same at every call. */
export function uniform(low: number, high: number, ...shapes: number[][]): () => tf.Tensor[] {
  return () =>
    shapes.map((shape, index) => tf.randomUniform(shape, low, high, "float32", index + 1));
}

/** Tensors of given numbers. */
export function integers(...rows: number[][]): () => tf.Tensor[] {
  return () => rows.map((row) => tf.tensor1d(row, "int32"));
}

/** Runs with an engine, on tfjs's own backend `cpu`, and leaves neither behind. */
export async function withEngine(run: (engine: Engine) => Promise<void>): Promise<void> {
  quiet();
  await tf.setBackend("cpu");
  const engine = await onnxEngine({ threads: 1 });
  const before = tf.memory().numTensors;
  try {
    tf.engine().startScope("test");
    await run(engine);
  } finally {
    tf.engine().endScope();
    await engine.dispose();
  }
  assertEquals(tf.memory().numTensors, before);
  assertEquals(tf.getBackend(), "cpu");
}

/** Keeps tfjs's advice to install its native backend out of the test's output. */
export function quiet(): void {
  tf.env().set("IS_TEST", true);
  tf.tidy(() => tf.scalar(0));
  tf.env().set("IS_TEST", false);
}

/** Compares the engine with tfjs's `cpu` backend. */
export async function compare(
  engine: Engine,
  { name, run, inputs, tolerance = 1e-5 }: Case,
): Promise<void> {
  const list = (result: tf.Tensor | tf.Tensor[]) => Array.isArray(result) ? result : [result];
  const given = inputs();
  const actual = await engine.compile((_, ...inputs) => list(run(...inputs)), new Map())(...given);
  const expected = list(run(...given));
  assertEquals(actual.length, expected.length, name);
  for (const [index, tensor] of expected.entries()) {
    const other = actual[index];
    assert(other !== undefined, name);
    assertEquals([other.dtype, other.shape], [tensor.dtype, tensor.shape], name);
    assertClose(other, tensor, tolerance, name);
  }
}

/** Asserts that two tensors differ by at most a share of the largest magnitude, at least of 1. */
export function assertClose(
  actual: tf.Tensor,
  expected: tf.Tensor,
  tolerance: number,
  name = "tensors",
): void {
  const [left, right] = [actual.dataSync(), expected.dataSync()];
  let [most, scale] = [0, 1];
  right.forEach((number, index) => {
    const other = left[index] ?? NaN;
    const same = Object.is(number, other) || number === other;
    most = Math.max(most, same ? 0 : Math.abs(number - other));
    if (Number.isNaN(number - other) && !same) most = NaN;
    if (Number.isFinite(number)) scale = Math.max(scale, Math.abs(number));
  });
  assert(most <= tolerance * scale, `${name}: differs by ${most} of ${scale}`);
}

/** A tensor of four axes as tfjs types it. */
export function asMap(x: tf.Tensor): tf.Tensor4D {
  const [a, b, c, d] = x.shape;
  if (a === undefined || b === undefined || c === undefined || d === undefined) {
    throw new TypeError(`[${x.shape.join(", ")}] has not four axes`);
  }
  return tf.reshape(x, [a, b, c, d]);
}
