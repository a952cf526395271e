import { assertEquals, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import { parseUNet2DConfig, unet2d, type UNet2DConfig } from "../../models/unet_2d.ts";
import type { Weights } from "../../models/weights.ts";
import type { NewTensor } from "../../models/safetensors.ts";
import { initialValues } from "../../training/initial.ts";
import { namedTensors, recordParameters } from "../../training/parameters.ts";
import { drawnValues } from "../../training/train.ts";
import { onCpu, TINY } from "./_tiny.ts";

const specsOf = (config: UNet2DConfig) =>
  recordParameters((scope) =>
    unet2d(
      scope,
      config,
      tf.zeros([1, 8, 8, config.in_channels]),
      tf.zeros([1]),
      tf.zeros([1], "int32"),
    )
  );

const plain = parseUNet2DConfig(TINY, "the test");

/** Weights of a network that are no start values. */
async function weightsOf(config: UNet2DConfig): Promise<Weights & Map<string, never>> {
  const specs = specsOf(config);
  const vector = tf.tensor1d(drawnValues(specs, 9).map((value) => value + 1));
  const named = await namedTensors(vector, specs);
  vector.dispose();
  return new Map(
    [...named].map(([name, { shape, values }]: [string, NewTensor]) =>
      [name, { name, shape, dtype: "F32", read: () => values as Float32Array }] as never
    ),
  );
}

/** All parameters as they are stored. */
async function stored(config: UNet2DConfig, values: Float32Array) {
  const vector = tf.tensor1d(values);
  const named = await namedTensors(vector, specsOf(config));
  vector.dispose();
  return (name: string) => [...named.get(name)?.values ?? []] as number[];
}

Deno.test("initialValues() takes every weight of a model of the same network", () =>
  onCpu(async () => {
    const specs = specsOf(plain);
    const made = await initialValues(specs, await weightsOf(plain), drawnValues(specs, 1));
    assertEquals(made.values, drawnValues(specs, 9).map((value) => value + 1));
    assertEquals(made.taken, specs.map(({ name }) => name));
    assertEquals([made.widened, made.fresh], [[], []]);
  }));

Deno.test("initialValues() widens the output by zeros, where the variance is new", () =>
  onCpu(async () => {
    const wide = parseUNet2DConfig({ ...TINY, out_channels: 2 }, "the test");
    const [specs, weights] = [specsOf(wide), await weightsOf(plain)];
    const made = await initialValues(specs, weights, drawnValues(specs, 1));
    assertEquals(made.widened, ["conv_out.weight", "conv_out.bias"]);
    assertEquals(made.taken.length, specs.length - 2);
    const read = await stored(wide, made.values);
    for (const name of made.widened) {
      const old = [...(weights as Weights).get(name)!.read()];
      assertEquals(read(name), [...old, ...old.map(() => 0)], name);
    }
  }));

Deno.test("initialValues() keeps drawn values for what a model does not have", () =>
  onCpu(async () => {
    const bare = parseUNet2DConfig({ ...TINY, num_class_embeds: null }, "the test");
    const specs = specsOf(plain);
    const drawn = drawnValues(specs, 1);
    const made = await initialValues(specs, await weightsOf(bare), drawn);
    assertEquals(made.fresh, ["class_embedding.weight"]);
    const [before, after] = [await stored(plain, drawn), await stored(plain, made.values)];
    assertEquals(after("class_embedding.weight"), before("class_embedding.weight"));
  }));

Deno.test("initialValues() names what does not fit", () =>
  onCpu(async () => {
    const fail = async (from: UNet2DConfig, to: UNet2DConfig, message: string) => {
      const specs = specsOf(to);
      const weights = await weightsOf(from);
      await assertRejects(
        () => initialValues(specs, weights, drawnValues(specs, 1)),
        Error,
        message,
      );
    };
    const other = (change: Record<string, unknown>) =>
      parseUNet2DConfig({ ...TINY, ...change }, "the test");
    await fail(
      plain,
      other({ num_class_embeds: null }),
      'Cannot start from "class_embedding.weight"',
    );
    await fail(plain, other({ num_class_embeds: 5 }), 'Cannot load "class_embedding.weight"');
    await fail(plain, other({ block_out_channels: [8, 16] }), 'Cannot load "down_blocks.1');
    // Only the output may be widened, and only to twice.
    await fail(plain, other({ out_channels: 3 }), 'Cannot load "conv_out.weight"');
    await fail(plain, other({ in_channels: 2 }), 'Cannot load "conv_in.weight"');
    await fail(other({ out_channels: 2 }), plain, 'Cannot load "conv_out.weight"');
  }));
