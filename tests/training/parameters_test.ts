import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { conv, groupNorm, linear } from "../../models/layers.ts";
import { encodeSafetensors, readSafetensors } from "../../models/safetensors.ts";
import type { Scope } from "../../models/scope.ts";
import {
  flatten,
  namedTensors,
  recordParameters,
  scopeOver,
  startValues,
  totalSize,
  unflatten,
  vectorOf,
} from "../../training/parameters.ts";
import { onCpu } from "./_tiny.ts";

/** A network of all layouts, one part of which is used twice. */
function network(scope: Scope): tf.Tensor {
  let h = conv(scope.at("conv"), tf.ones([1, 3, 3, 2]), 4);
  h = groupNorm(scope.at("norm"), h, 2, 1e-5);
  const rows = tf.reshape(h, [9, 4]) as tf.Tensor2D;
  const mixed = linear(scope.at("mix"), linear(scope.at("mix"), rows, 4), 4);
  return linear(scope.at("out"), mixed, 3, { pointwise: true });
}

const values = (size: number) => Float32Array.from({ length: size }, (_, index) => index / 7);

Deno.test("recordParameters() finds each parameter once, in the network's order", () =>
  onCpu(() => {
    const specs = recordParameters(network);
    assertEquals(specs.map(({ name }) => name), [
      "conv.weight",
      "conv.bias",
      "norm.weight",
      "norm.bias",
      "mix.weight",
      "mix.bias",
      "out.weight",
      "out.bias",
    ]);
    assertEquals(totalSize(specs), 3 * 3 * 2 * 4 + 4 + 4 + 4 + 16 + 4 + 12 + 3);
  }));

Deno.test("flatten() and unflatten() undo each other", () =>
  onCpu(() => {
    tf.tidy(() => {
      const specs = recordParameters(network);
      const vector = tf.tensor1d(values(totalSize(specs)));
      const parts = unflatten(vector, specs);
      assertEquals(parts.map(({ shape }) => shape), specs.map(({ shape }) => [...shape]));
      assertEquals(flatten(parts).dataSync(), vector.dataSync());
    });
  }));

Deno.test("unflatten() lets gradients through", () =>
  onCpu(() => {
    tf.tidy(() => {
      const specs = recordParameters(network);
      const vector = tf.tensor1d(values(totalSize(specs)));
      const gradient = tf.grad((vector) => {
        const [weight, , gamma] = unflatten(vector as tf.Tensor1D, specs);
        return tf.add(tf.sum(tf.mul(weight!, 2)), tf.sum(tf.square(gamma!)));
      })(vector).dataSync();
      const gammas = values(80).slice(76).map((value) => 2 * value);
      assertEquals([...gradient.slice(0, 73)], [...new Array(72).fill(2), 0]);
      assertEquals(gradient.slice(76, 80), gammas);
    });
  }));

Deno.test("scopeOver() answers by name, and refuses what was not recorded", () =>
  onCpu(() => {
    tf.tidy(() => {
      const specs = recordParameters(network);
      const scope = scopeOver(specs, unflatten(tf.ones([totalSize(specs)]), specs));
      assertEquals(network(scope).shape, [9, 3]);
      assertEquals([scope.has("mix.bias", false), scope.has("mix.scale", true)], [true, false]);
      assertThrows(() => linear(scope.at("new"), tf.ones([1, 2]), 2), Error, '"new.weight"');
    });
  }));

Deno.test("startValues() follow each parameter's own start and name", () => {
  const specs = [
    { name: "a", shape: [100, 100], layout: "matrix", init: { uniform: 0.1 } },
    { name: "b", shape: [3], layout: "same", init: { constant: 2 } },
    { name: "c", shape: [2, 2], layout: "same", init: { normal: 10 } },
  ] as const;
  const asked: string[] = [];
  const start = startValues(specs, {
    uniform: (name, count) => {
      asked.push(name);
      return Float32Array.from({ length: count }, (_, index) => index / count);
    },
    normal: (name, count) => {
      asked.push(name);
      return new Float32Array(count).fill(-0.5);
    },
  });
  assertEquals(asked, ["a", "c"]);
  const uniform = start.subarray(0, 10_000);
  assertAlmostEquals(Math.min(...uniform), -0.1, 1e-6);
  assert(Math.max(...uniform) < 0.1 && Math.max(...uniform) > 0.0999);
  assertEquals([...start.subarray(10_000)], [2, 2, 2, -5, -5, -5, -5]);
});

Deno.test("namedTensors() has a checkpoint's layout, which vectorOf() reads back", () =>
  onCpu(async () => {
    const specs = recordParameters(network);
    const vector = tf.tensor1d(values(totalSize(specs)));
    const named = await namedTensors(vector, specs);
    assertEquals(named.get("conv.weight")?.shape, [4, 2, 3, 3]);
    assertEquals(named.get("out.weight")?.shape, [3, 4, 1]);
    assertEquals(named.get("mix.weight")?.shape, [4, 4]);
    // HWIO [2, 1, 0, 3] of the vector stands at OIHW [3, 0, 2, 1].
    assertEquals(
      named.get("conv.weight")?.values[((3 * 2 + 0) * 3 + 2) * 3 + 1],
      vector.dataSync()[((2 * 3 + 1) * 2 + 0) * 4 + 3],
    );
    const folder = await Deno.makeTempDir();
    try {
      const path = join(folder, "model.safetensors");
      await Deno.writeFile(path, encodeSafetensors(named));
      assertEquals(await vectorOf(specs, readSafetensors(path).tensors), vector.dataSync());
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    vector.dispose();
  }));
