import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import type { Weights } from "../../models/weights.ts";
import { readScales, scalesPath, writeScales } from "../../quantization/file.ts";
import { fingerprintOf } from "../../quantization/fingerprint.ts";
import { groupAt, groupEnds, type Scales } from "../../quantization/scales.ts";

const SCALES: Scales = new Map([
  ["mid.conv1", { input: [[-0.5, 2], [-1, 1]], output: [3, 0.25], correction: [0.125, -1] }],
  ["mid.to_q", { input: [[-4, 4]], output: undefined, correction: undefined }],
]);

const GROUPS = [{ below: 500.5, scales: SCALES }, { below: Infinity, scales: SCALES }];

async function withFile(run: (path: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = scalesPath(folder);
    await writeScales(path, { weights: "0123", calibration: { images: 4 }, groups: GROUPS });
    await run(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("scales are read as they were written", () =>
  withFile((path) => {
    assertEquals(readScales(path), {
      weights: "0123",
      calibration: { images: 4 },
      groups: GROUPS,
    });
  }));

Deno.test("scalesPath() takes a file or the folder that it is in", () => {
  assertEquals(scalesPath("a/b.json"), "a/b.json");
  assertEquals(scalesPath("a"), join("a", "quantization.json"));
});

Deno.test("a damaged file of scales is refused with its name and the layer", () =>
  withFile(async (path) => {
    const text = await Deno.readTextFile(path);
    for (
      const [from, to, message] of [
        ["scales 1", "scales 2", 'format must be "denoise scales 1"'],
        ['"0123"', "7", "weights must be the fingerprint"],
        ["[-4,4]", "[4,-4]", 'layer "mid.to_q": input must be a list of ranges'],
        ["[-4,4]", '"wide"', 'layer "mid.to_q": input must be a list of ranges'],
        ["[3,0.25]", "[3,-1]", 'layer "mid.conv1": output must be a list of magnitudes'],
        ["[0.125,-1]", "{}", 'layer "mid.conv1": correction must be a list of numbers'],
        ["500.5", "null", "below must be a timestep in each group but the last"],
        ['"groups"', '"group"', "groups must be a list of scales by timestep"],
        ['"output"', '"outputs"', 'layer "mid.conv1": its key "outputs" is not known'],
      ] as const
    ) {
      await Deno.writeTextFile(path, text.replace(from, to));
      assertThrows(() => readScales(path), SyntaxError, message);
      assertThrows(() => readScales(path), SyntaxError, path);
    }
    await Deno.writeTextFile(path, "{");
    assertThrows(() => readScales(path), Error, path);
  }));

Deno.test("fingerprintOf() tells weights, types and shapes apart, not their order", async () => {
  const weights = (change: { dtype?: string; shape?: number[]; first?: number } = {}): Weights => {
    const { dtype = "F32", shape = [2], first = 1 } = change;
    const tensor = { name: "a", shape, dtype, read: () => Float32Array.of(first, 2) };
    return new Map([["a", tensor], ["b", { ...tensor, name: "b" }]]);
  };
  const known = await fingerprintOf(weights());
  assertEquals(known.length, 16);
  assertEquals(await fingerprintOf(new Map([...weights()].reverse())), known);
  for (const change of [{ dtype: "F16" }, { shape: [1, 2] }, { first: 1.5 }]) {
    assertNotEquals(await fingerprintOf(weights(change)), known);
  }
});

Deno.test("groupEnds() deals timesteps evenly, and groupAt() finds them again", () => {
  const timesteps = [900, 700, 500, 300, 100, 900];
  assertEquals(groupEnds(timesteps, 1), [Infinity]);
  const groups = groupEnds(timesteps, 2).map((below) => ({ below }));
  assertEquals(groups.map(({ below }) => below), [700, Infinity]);
  assertEquals(timesteps.map((t) => groupAt(groups, t)), [1, 1, 0, 0, 0, 1]);
  assertEquals(groupEnds([5], 4), [Infinity]);
});
