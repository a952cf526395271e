import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { StoredTensor, Weights } from "../../models/weights.ts";
import { noiseStream } from "../../noise/mod.ts";
import { fromBlocks, toBlocks, weightsInBlocks } from "../../quantization/blocks.ts";

/** Two blocks: whole numbers whose farthest is below zero, and halves whose farthest is above. */
const VALUES = Float32Array.from({ length: 64 }, (_, i) => i < 32 ? i % 16 - 8 : (i % 16 - 7) / 2);

Deno.test("eight bits take a block's farthest value to 127 of its steps", () => {
  const { bytes, steps } = toBlocks(VALUES, 8);
  assertEquals([...steps], [8 / 127, 4 / 127].map(Math.fround));
  const numbers = new Int8Array(bytes.buffer);
  assertEquals([numbers[0], numbers[8], numbers[15], numbers[32], numbers[47]], [
    -127,
    0,
    111,
    -111,
    127,
  ]);
});

Deno.test("four bits take it to -8, whatever its sign, two numbers in a byte", () => {
  const { bytes, steps } = toBlocks(VALUES, 4);
  assertEquals([...steps], [1, -0.5]);
  assertEquals(bytes.length, 32);
  assertEquals([...bytes.subarray(0, 2)], [0x98, 0xba]); // -8, -7, -6, -5, the first one low
  const back = fromBlocks({ bytes, steps }, 4);
  assertEquals(back.subarray(0, 32), VALUES.subarray(0, 32)); // whole steps are exact
  assertEquals([...back.subarray(32, 35)], [-3.5, -3, -2.5]);
  assertEquals(back[47], 4); // -8 steps of -0.5
});

Deno.test("blocks are off by at most half a step, but where four bits end", () => {
  const values = noiseStream("philox", 3).normal(320).map((value, i) => value * (1 + (i >> 5)));
  for (const bits of [8, 4] as const) {
    const blocks = toBlocks(values, bits);
    const back = fromBlocks(blocks, bits);
    for (const [i, value] of values.entries()) {
      const step = blocks.steps[i >> 5] ?? 0;
      const clipped = bits === 4 && value / step > 7;
      const off = Math.abs(value - (back[i] ?? NaN)) / Math.abs(step);
      assert(off <= (clipped ? 1.001 : 0.501), `${bits} bits, value ${i}: ${off} steps`);
    }
  }
});

Deno.test("a block of zeros is zeros", () => {
  for (const bits of [8, 4] as const) {
    const back = fromBlocks(toBlocks(new Float32Array(32), bits), bits);
    assert(back.every((value) => value === 0));
  }
});

Deno.test("matrices and filters are in blocks, read when they are asked for; vectors are not", () => {
  let reads = 0;
  const tensor = (name: string, shape: number[]): [string, StoredTensor] => {
    const size = shape.reduce((product, size) => product * size, 1);
    const read = () => {
      reads++;
      return noiseStream("philox", 5).normal(size);
    };
    return [name, { name, shape, dtype: "F16", read }];
  };
  const weights: Weights = new Map([
    tensor("norm", [64]),
    tensor("linear", [6, 16]),
    tensor("filter", [8, 4, 3, 3]),
    tensor("odd", [3, 5]),
  ]);
  const held = weightsInBlocks(weights, 8);
  assertEquals(reads, 0);
  assertEquals([...held].filter(([, { blocks }]) => blocks).map(([name]) => name), [
    "linear",
    "filter",
  ]);
  assertEquals(held.get("norm"), weights.get("norm"));
  const filter = held.get("filter");
  assertEquals(filter?.shape, [8, 4, 3, 3]);
  const { bytes, steps } = filter?.blocks?.read() ?? {};
  assertEquals([bytes?.length, steps?.length, reads], [288, 9, 1]);
  const [exact = new Float32Array(), rounded] = [weights, held].map((of) =>
    of.get("filter")?.read()
  );
  exact.forEach((value, i) => assertAlmostEquals(rounded?.[i] ?? NaN, value, 0.02));
  assert(exact.some((value, i) => value !== rounded?.[i]));
});
