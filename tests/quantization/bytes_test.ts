import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { affineOf, byteWeights, stepOf } from "../../quantization/bytes.ts";
import { Histogram } from "../../quantization/histogram.ts";
import { rangeOf } from "../../quantization/ranges.ts";
import { noiseStream } from "../../noise/mod.ts";

Deno.test("affineOf() keeps zero exact and covers the range with 255 steps", () => {
  for (const [low, high] of [[-0.28, 6], [-3, 3], [-5, -1], [2, 9], [0, 0]] as const) {
    const { scale, zero } = affineOf([low, high]);
    assert(Number.isInteger(zero) && zero >= 0 && zero <= 255 && scale > 0);
    assert(scale * -zero <= Math.min(0, low) + scale / 2 + 1e-6);
    assert(scale * (255 - zero) >= Math.max(0, high) - scale / 2 - 1e-6);
  }
});

Deno.test("byteWeights() is off by at most half a step of its row, and reaches 127 in each", () => {
  const values = noiseStream("philox", 3).normal(60).map((value, i) => value * (i < 20 ? 100 : 1));
  const { bytes, steps } = byteWeights(values, 3);
  for (const [i, value] of values.entries()) {
    const step = steps[Math.floor(i / 20)] ?? 0;
    assert(Math.abs(value - (bytes[i] ?? 0) * step) <= step / 2 * 1.0001, `${i}`);
  }
  const most = [0, 1, 2].map((row) =>
    Math.max(...bytes.slice(20 * row, 20 * row + 20).map(Math.abs))
  );
  assertEquals(most, [127, 127, 127]);
  assertEquals([...byteWeights(new Float32Array(4), 2).bytes], [0, 0, 0, 0]);
});

Deno.test("stepOf() takes a magnitude to 127", () => {
  assertAlmostEquals(stepOf(254), 2, 1e-6);
});

function histogramOf(...batches: number[][]): Histogram {
  const histogram = new Histogram();
  for (const batch of batches) histogram.add(Float32Array.from(batch));
  return histogram;
}

Deno.test("a histogram keeps all counts as later values reach farther", () => {
  const histogram = histogramOf([0.1, -0.2, 0.3], [40, 0.1], [-900]);
  const bins = histogram.bins();
  assertEquals(bins.reduce((sum, { count }) => sum + count, 0), 6);
  const [low, high] = histogram.ends;
  assertAlmostEquals(low, -900, 1e-4);
  assertAlmostEquals(high, 40, 1e-4);
  assertAlmostEquals(bins[0]?.middle ?? 0, -900, 1);
  assertAlmostEquals(bins.at(-1)?.middle ?? 0, 40, 1);
});

/** A normal distribution and one outlier. */
function outlier(): { values: Float32Array; histogram: Histogram } {
  const values = Float32Array.from([...noiseStream("philox", 1).normal(20000), 60]);
  return { values, histogram: histogramOf([...values]) };
}

Deno.test("ranges: minmax covers an outlier, percentile and mse leave it out", () => {
  const { histogram } = outlier();
  const at = (ranges: "minmax" | "percentile" | "mse") =>
    rangeOf(histogram, { ranges, percentile: 99.9 });
  assertEquals(at("minmax"), histogram.ends);
  const [low, high] = at("percentile");
  assertAlmostEquals(low, -3.29, 0.2); // of a normal distribution, 0.05 % lie beyond
  assertAlmostEquals(high, 3.29, 0.2);
  assert(at("mse")[1] < 60);
});

Deno.test("ranges: mse has the least error of the three", () => {
  const { values, histogram } = outlier();
  const errorOf = (ranges: "minmax" | "percentile" | "mse") => {
    const { scale, zero } = affineOf(rangeOf(histogram, { ranges, percentile: 99.9 }));
    return values.reduce((sum, value) => {
      const byte = Math.min(255, Math.max(0, Math.round(value / scale) + zero));
      return sum + (value - scale * (byte - zero)) ** 2;
    }, 0);
  };
  assert(errorOf("mse") <= errorOf("minmax") && errorOf("mse") <= errorOf("percentile"));
});
