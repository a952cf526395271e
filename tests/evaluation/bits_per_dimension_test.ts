import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { eagerEngine } from "../../engines/eager.ts";
import type { Engine } from "../../engines/engine.ts";
import { openEngine } from "../../engines/mod.ts";
import {
  bitsPerDimension,
  type BoundOptions,
  flowBitsPerDimension,
} from "../../evaluation/bits_per_dimension.ts";
import type { NewTensor } from "../../models/safetensors.ts";
import { type Denoiser, loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import { respacedTimesteps } from "../../schedules/mod.ts";
import { type TinyOptions, writeTiny } from "../commands/_tiny.ts";
import { onCpu, plainData } from "../training/_tiny.ts";

const data = plainData(40, 3, 8);
const OPTIONS: BoundOptions = { count: 5, batchSize: 5, seed: 0, steps: 8 };

/** Makes a random network answer little, so that its flow is smooth. */
function tame(tensors: Map<string, NewTensor>): void {
  const { shape, values } = tensors.get("conv_out.weight")!;
  tensors.set("conv_out.weight", { shape, values: values.map((value) => value / 30) });
}

/** Measures with a tiny model, in plain JavaScript unless told otherwise. */
async function withTiny(
  options: TinyOptions,
  measure: (denoiser: Denoiser) => Promise<void>,
  open: () => Engine | Promise<Engine> = () => eagerEngine("cpu", "the test"),
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await onCpu(async () => {
      await writeTiny(join(folder, "tiny"), options);
      const engine = await open();
      await measure(loadDenoiser(openModel(join(folder, "tiny")), engine));
      await engine.dispose();
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("bitsPerDimension() is the sum of its parts, over the chain that was asked for", () =>
  withTiny({}, async (denoiser) => {
    const shares: number[] = [];
    const made = await bitsPerDimension(denoiser, data, {
      ...OPTIONS,
      batchSize: 2,
      onProgress: (share) => shares.push(share),
    });
    const { total, prior, between, decoder, levels } = made;
    assertAlmostEquals(total.mean, prior + between + decoder, 1e-4 * total.mean);
    assertEquals(levels.timesteps, respacedTimesteps(1000, "8").reverse());
    assertEquals([levels.terms.length, levels.terms[0]], [8, decoder]);
    assert(total.error > 0);
    assertEquals(shares.length, 3 * 8);
    assert(shares.every((share, i) => share > (shares[i - 1] ?? 0)));
    assertAlmostEquals(shares.at(-1)!, 1, 1e-12);
  }));

Deno.test("bitsPerDimension() depends neither on the batch nor on the time, but on seed and labels", () =>
  withTiny({}, async (denoiser) => {
    const at = async (change: Partial<BoundOptions>, own = data) =>
      (await bitsPerDimension(denoiser, own, { ...OPTIONS, ...change })).total.mean;
    const once = await at({});
    assertEquals(await at({}), once);
    assertAlmostEquals(await at({ batchSize: 2 }), once, 1e-5 * once);
    assert(Math.abs(await at({ seed: 1 }) - once) > 1e-3, "the seed changes nothing");
    const others = { ...data, labels: ["a", "b", "c"] };
    assertEquals(await at({}, others), once);
    const bare = await at({}, { ...data, labels: [] });
    assert(Math.abs(bare - once) > 1e-3, "the labels change nothing");
    await assertRejects(() => at({}, plainData(40, 2, 8)), TypeError, "they have 2 classes");
    await assertRejects(
      () => at({}, { ...data, channels: 3 }),
      TypeError,
      "they have 3 channels, the model's have 1",
    );
  }));

Deno.test("bitsPerDimension() takes the variance that is asked for, or the model's own", () =>
  withTiny({}, async (fixed) => {
    const at = async (denoiser: Denoiser, variance?: "small" | "large") =>
      (await bitsPerDimension(denoiser, data, { ...OPTIONS, count: 2, variance })).total.mean;
    const small = await at(fixed, "small");
    assertEquals(await at(fixed), small);
    assert(Math.abs(await at(fixed, "large") - small) > 1e-3);
    await withTiny({ config: { out_channels: 2 } }, async (learned) => {
      const bounds = [await at(learned), await at(learned, "small"), await at(learned, "large")];
      assertEquals(new Set(bounds).size, 3);
    });
  }));

Deno.test("both bits per dimension are the same on the traced engine", () =>
  withTiny({ config: { out_channels: 2 }, spoil: tame }, async (denoiser) => {
    const engine = await openEngine("onnx");
    try {
      const traced = loadDenoiser(denoiser.model, engine);
      const bound = { ...OPTIONS, count: 2 };
      const flow = { count: 1, batchSize: 1, seed: 0, tolerance: 1e-2 };
      const [ours, theirs] = [
        await bitsPerDimension(denoiser, data, bound),
        await bitsPerDimension(traced, data, bound),
      ];
      assertAlmostEquals(theirs.total.mean, ours.total.mean, 1e-4 * ours.total.mean);
      const [slow, fast] = [
        await flowBitsPerDimension(denoiser, data, flow),
        await flowBitsPerDimension(traced, data, flow),
      ];
      assertAlmostEquals(fast.total.mean, slow.total.mean, 1e-3);
    } finally {
      await engine.dispose();
    }
  }));

Deno.test("flowBitsPerDimension() gives an image what it has in any batch, within the tolerance", () =>
  withTiny({ spoil: tame }, async (denoiser) => {
    const shares: number[] = [];
    const at = async (batchSize: number) =>
      (await flowBitsPerDimension(denoiser, data, {
        count: 2,
        batchSize,
        seed: 0,
        tolerance: 1e-3,
        onProgress: (share) => shares.push(share),
      })).total.mean;
    const together = await at(2);
    assertAlmostEquals(shares.at(-1)!, 1, 1e-9);
    assertAlmostEquals(await at(1), together, 5e-3);
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await assertRejects(
      () =>
        flowBitsPerDimension(denoiser, data, {
          count: 2,
          batchSize: 2,
          seed: 0,
          tolerance: 1e-3,
          signal: controller.signal,
        }),
      Error,
      "enough",
    );
  }, () => openEngine("onnx")));
