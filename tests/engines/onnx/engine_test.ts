import { assert, assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import type { Computation } from "../../../engines/engine.ts";
import { shapesOf, trace } from "../../../engines/onnx.ts";
import { conv, groupNorm, linear, silu } from "../../../models/layers.ts";
import { loadedParameters } from "../../../models/parameters.ts";
import { encodeSafetensors, readSafetensors } from "../../../models/safetensors.ts";
import { scopeOf, storedShape } from "../../../models/scope.ts";
import type { Weights } from "../../../models/weights.ts";
import { asMap, assertClose, withEngine } from "./_compare.ts";

const input = (x: tf.Tensor | undefined): tf.Tensor => {
  if (x === undefined) throw new TypeError("no input");
  return x;
};

const network: Computation = (scope, x) => {
  const h = silu(groupNorm(scope.at("norm"), conv(scope.at("conv"), asMap(input(x)), 8), 2, 1e-5));
  return [linear(scope.at("out"), tf.mean(h, [1, 2]), 40)];
};

const SHAPE = [2, 5, 6, 3];

/** Random weights of the network, as new tensors of a file. */
function newWeights() {
  return new Map(
    shapesOf(network, [SHAPE]).parameters.map((spec, index) => {
      const shape = storedShape(spec.shape, spec.layout);
      const values = tf.tidy(() => tf.randomNormal(shape, 0, 1, "float32", index + 1).dataSync());
      return [spec.name, { shape, values: Float32Array.from(values) }];
    }),
  );
}

function inMemory(): Weights {
  return new Map([...newWeights()].map(([name, { shape, values }]) => [
    name,
    { name, shape, dtype: "F32", read: () => values },
  ]));
}

function expectedOf(weights: Weights, x: tf.Tensor): tf.Tensor {
  const loaded = loadedParameters(weights);
  const [y] = network(scopeOf(loaded), x);
  loaded.dispose();
  return input(y);
}

Deno.test("onnx engine describes itself", () =>
  withEngine((engine) => {
    assert(/^ONNX Runtime \d+\.\d+\.\d+ on the CPU, 1 thread$/.test(engine.description));
    return Promise.resolve();
  }));

Deno.test("onnx engine computes again after a release", () =>
  withEngine(async (engine) => {
    const x = tf.randomNormal(SHAPE);
    const compiled = engine.compile(network, inMemory());
    const [before] = await compiled(x);
    await compiled.release?.();
    const [after] = await compiled(x);
    assertClose(input(after), input(before), 0);
  }));

Deno.test("onnx engine computes with weights in memory", () =>
  withEngine(async (engine) => {
    const x = tf.randomNormal(SHAPE);
    const [y] = await engine.compile(network, inMemory())(x);
    assertClose(input(y), expectedOf(inMemory(), x), 1e-5);
  }));

Deno.test("onnx engine computes with weights that stay in their file", () =>
  withEngine(async (engine) => {
    const folder = Deno.makeTempDirSync();
    try {
      for (const dtype of ["F32", "F16"] as const) {
        const path = `${folder}/${dtype}.safetensors`;
        Deno.writeFileSync(path, encodeSafetensors(newWeights(), dtype));
        Deno.symlinkSync(path, `${folder}/link`); // as in the hub's cache
        const weights = readSafetensors(`${folder}/link`).tensors;
        const x = tf.randomNormal(SHAPE);
        const [y] = await engine.compile(network, weights)(x);
        assertClose(input(y), expectedOf(weights, x), 1e-5, dtype);
        Deno.removeSync(`${folder}/link`);
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }));

Deno.test("onnx engine takes integers and returns them, and truth values", () =>
  withEngine(async (engine) => {
    const labels = tf.tensor1d([3, 1], "int32");
    const run = engine.compile((_, labels) => [
      tf.add(input(labels), tf.scalar(1, "int32")),
      tf.greater(input(labels), 2),
      tf.oneHot(input(labels).toInt().as1D(), 4),
    ], new Map());
    const [sum, above, rows] = (await run(labels)).map((y) => ({
      ...y,
      numbers: [...y.dataSync()],
    }));
    assertEquals([sum?.dtype, sum?.numbers], ["int32", [4, 2]]);
    assertEquals([above?.dtype, above?.numbers], ["bool", [1, 0]]);
    assertEquals([rows?.dtype, rows?.numbers], ["int32", [0, 0, 0, 1, 0, 1, 0, 0]]);
  }));

Deno.test("onnx engine serves overlapping calls of many shapes", () =>
  withEngine(async (engine) => {
    const run = engine.compile((_, x) => [tf.sum(tf.square(input(x)))], new Map());
    const sizes = [1, 2, 3, 4, 5, 6, 7, 2, 1];
    const results = await Promise.all(sizes.map((size) => run(tf.ones([size]))));
    assertEquals(results.map(([y]) => y?.dataSync()[0]), sizes);
    assertEquals((await run(tf.ones([3]))).map((y) => y.dataSync()[0]), [3]);
  }));

Deno.test("onnx engine neither keeps nor changes its inputs, and returns constants", () =>
  withEngine(async (engine) => {
    const x = tf.tensor1d([1, 2]);
    const run = engine.compile((_, x) => [input(x), input(x), tf.tensor1d([5, 6, 7])], new Map());
    const results = await run(x);
    assertEquals(results.map((y) => [...y.dataSync()]), [[1, 2], [1, 2], [5, 6, 7]]);
    assertEquals([...x.dataSync()], [1, 2]);
  }));

Deno.test("onnx engine reports a failed call and goes on", () =>
  withEngine(async (engine) => {
    const run = engine.compile(network, new Map());
    await assertRejects(() => run(tf.ones(SHAPE)), Error, 'Cannot load "conv.weight"');
    const [y] = await engine.compile((_, x) => [tf.neg(input(x))], new Map())(tf.ones([1]));
    assertEquals([...input(y).dataSync()], [-1]);
  }));

Deno.test("onnx engine leaves the thread free while it computes", () =>
  withEngine(async (engine) => {
    const run = engine.compile((_, x) => {
      let y = tf.reshape(input(x), [400, 400]);
      for (let round = 0; round < 60; round++) y = tf.tanh(tf.matMul(y, y));
      return [y];
    }, new Map());
    const x = tf.randomNormal([400, 400]);
    await run(x);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await run(x);
    clearInterval(timer);
    assert(ticks > 5, `${ticks} ticks`);
  }));

Deno.test("trace gives a model that holds its weights", async () => {
  await tf.setBackend("cpu");
  const weights = inMemory();
  const size = [...weights.values()].reduce((sum, { read }) => sum + read().byteLength, 0);
  const bytes = trace(network, weights, [SHAPE]);
  assert(bytes.length > size && bytes.length < size + 20_000, `${bytes.length} of ${size} bytes`);
});

Deno.test("onnx engine says which permission it lacks", async () => {
  const root = new URL("../../../", import.meta.url);
  const code = `import { onnxEngine } from "./engines/onnx.ts";
    await onnxEngine().catch((error) => console.log(error.message));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-lock", "--no-prompt", "--allow-read", "-"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { stdout } = await child.output();
  assertEquals(
    new TextDecoder().decode(stdout).trim(),
    'Cannot use engine "onnx": native code needs --allow-ffi',
  );
});
