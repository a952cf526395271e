import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { ChannelValues, LayerValues } from "../../engines/engine.ts";
import type { Weights } from "../../models/weights.ts";
import { noiseStream } from "../../noise/mod.ts";
import { byteWeights, stepOf } from "../../quantization/bytes.ts";
import { chooseScales } from "../../quantization/choose.ts";
import { Observer } from "../../quantization/observer.ts";

const CHOICE = { ranges: "minmax", percentile: 100, float: [], correct: true } as const;

/** Values `[outer, channels, inner]`. */
function of(channels: number, inner: number, ...values: number[]): ChannelValues {
  return { values: Float32Array.from(values), channels, inner };
}

function layer(name: string, kind: LayerValues["kind"], parts: ChannelValues[]): LayerValues {
  return { layer: name, kind, parts, output: of(2, 2, 1, -4, 2, 3) };
}

/** Weights `[2, channels, 1, 1]` of each name. */
function weightsOf(channels: number, ...names: string[]): Weights {
  const values = noiseStream("philox", 2).normal(2 * channels);
  return new Map(names.map((name) => {
    const key = `${name}.weight`;
    return [key, { name: key, shape: [2, channels, 1, 1], dtype: "F32", read: () => values }];
  }));
}

Deno.test("an observer keeps ranges, channel sums and the magnitudes of outputs", () => {
  const observer = new Observer();
  observer.add([layer("a", "convolution", [of(2, 2, 1, 2, 3, 4)])], 1);
  observer.add([layer("a", "convolution", [of(2, 2, -1, 0, 10, 0)])], 1);
  const seen = observer.layers.get("a");
  assertEquals([...seen?.parts[0]?.sums ?? []], [2, 17]);
  assertEquals([seen?.parts[0]?.count, seen?.parts[0]?.histogram.ends], [4, [-1, 10]]);
  assertEquals([[...seen?.magnitudes ?? []], seen?.single], [[4, 3], false]);
});

Deno.test("scales leave out the ends, single rows, and layers that are named", () => {
  const observer = new Observer();
  const names = ["conv_in", "down.0", "up.0", "conv_out"];
  const convolutions = names.map((name) => layer(name, "convolution", [of(2, 2, 1, 2, 3, 4)]));
  const rows = { ...layer("time", "product", [of(2, 1, 1, 2)]), output: of(2, 1, 1, 2) };
  const tokens = layer("to_q", "product", [of(2, 1, 1, 2, 3, 4)]);
  observer.add([...convolutions, rows, tokens], 1);
  const weights = weightsOf(2, ...names, "time", "to_q");
  const all = chooseScales(observer.layers, weights, CHOICE);
  assertEquals([...all.keys()], ["down.0", "up.0", "to_q"]);
  assertEquals(all.get("down.0")?.output, [4, 3]);
  assertEquals([all.get("to_q")?.output, all.get("to_q")?.input], [undefined, [[1, 4]]]);
  const some = chooseScales(observer.layers, weights, { ...CHOICE, float: ["up"], correct: false });
  assertEquals([...some.keys()], ["down.0", "to_q"]);
  assertEquals(some.get("down.0")?.correction, undefined);
});

Deno.test("the correction is what rounded weights miss of the mean output", () => {
  const means = [0.5, -2, 30, 7]; // the second half is a part of its own, as wide as its mean
  const constant = (first: number) => of(2, 2, ...[0, 0, 1, 1].map((at) => means[first + at] ?? 0));
  for (const parts of [[of(4, 1, ...means)], [constant(0), constant(2)]]) {
    const observer = new Observer();
    const names = ["first", "a", "last"];
    observer.add(names.map((name) => layer(name, "convolution", parts)), 1);
    const weights = weightsOf(4, ...names);
    const values = weights.get("a.weight")?.read() ?? new Float32Array();
    const folds = means.map((_, i) => parts.length === 1 ? 1 : stepOf(i < 2 ? 2 : 30));
    const folded = values.map((value, i) => value * (folds[i % 4] ?? 1));
    const { bytes, steps } = byteWeights(folded, 2);
    const { correction = [] } = chooseScales(observer.layers, weights, CHOICE).get("a") ?? {};
    for (const row of [0, 1]) {
      const [exact, rounded] = [0, 1].map((which) =>
        means.reduce((sum, mean, i) => {
          const at = 4 * row + i;
          const byte = (bytes[at] ?? 0) * (steps[row] ?? 0) / (folds[i] ?? 1);
          return sum + mean * (which === 0 ? values[at] ?? 0 : byte);
        }, 0)
      );
      assertAlmostEquals((rounded ?? 0) + (correction[row] ?? 0), exact ?? 0, 1e-5);
    }
  }
});
