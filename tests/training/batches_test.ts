import { assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import * as tf from "tfjs";
import { alphasCumprodOf } from "../../schedules/mod.ts";
import { type BatchOptions, imageOrder, makeBatches } from "../../training/batches.ts";
import { chainOf } from "../../training/objectives/chain.ts";
import { onCpu, plainData } from "./_tiny.ts";

const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

const OPTIONS: BatchOptions = {
  seed: 5,
  batchSize: 16,
  alphasCumprod: alphasCumprodOf({ beta_schedule: "linear", num_train_timesteps: 1000 }),
  prediction: "epsilon",
  weighting: { kind: "min-snr", gamma: 5 },
  labelled: true,
};

Deno.test("imageOrder() shows every image once an epoch, each epoch in another order", () => {
  const order = imageOrder(10, 3, 4); // batches straddle epochs
  const seen = [0, 1, 2, 3, 4].flatMap((step) => order(step));
  const [first, second] = [seen.slice(0, 10), seen.slice(10)];
  const all = Array.from({ length: 10 }, (_, index) => index);
  assertEquals(sorted(first), all);
  assertEquals(sorted(second), all);
  assertNotEquals(first, second);
  assertNotEquals(first, all);
  assertNotEquals(imageOrder(10, 4, 4)(0), order(0));
});

Deno.test("imageOrder() knows a step without those before it", () => {
  const order = imageOrder(7, 3, 4);
  const steps = [0, 1, 2, 3, 4, 5].map((step) => order(step));
  assertEquals(imageOrder(7, 3, 4)(4), steps[4]);
  assertEquals(order(1), steps[1]); // and backwards
  // Batches larger than the data go on into the next epochs.
  assertEquals(sorted(imageOrder(2, 3, 6)(0)), [0, 0, 0, 1, 1, 1]);
});

Deno.test("makeBatches() gives a step the same batch always, and each step another", () =>
  onCpu(async () => {
    const batches = [3, 3, 4].map((step) => makeBatches(plainData(50, 5), OPTIONS)(step));
    const [once, again, next] = await Promise.all(batches);
    for (const part of ["x0", "eps", "t", "alpha", "sigma", "weight", "labels"] as const) {
      assertEquals(once![part]!.dataSync(), again![part]!.dataSync(), part);
      assertNotEquals(once![part]!.dataSync(), next![part]!.dataSync(), part);
    }
    tf.dispose([once!, again!, next!]);
  }));

Deno.test("makeBatches() keeps images, labels, timesteps and levels aligned", () =>
  onCpu(async () => {
    const data = plainData(50, 5, 3);
    const batch = await makeBatches(data, OPTIONS)(2);
    const order = imageOrder(50, OPTIONS.seed, 16)(2);
    assertEquals(batch.x0.shape, [16, 3, 3, 1]);
    assertEquals(batch.eps.shape, [16, 3, 3, 1]);
    const [x0, times] = [batch.x0.dataSync(), batch.t.dataSync()];
    const [alpha, sigma] = [batch.alpha.dataSync(), batch.sigma.dataSync()];
    const [weight, labels] = [batch.weight.dataSync(), batch.labels!.dataSync()];
    order.forEach((index, i) => {
      assertEquals(x0.subarray(9 * i, 9 * i + 9), new Float32Array(9).fill(index / 50));
      assertEquals(labels[i], index % 5);
      const share = OPTIONS.alphasCumprod[times[i]!]!;
      assertAlmostEquals(alpha[i]!, Math.sqrt(share), 1e-7);
      assertAlmostEquals(sigma[i]!, Math.sqrt(1 - share), 1e-7);
      const snr = share / (1 - share);
      assertAlmostEquals(weight[i]!, Math.min(snr, 5) / snr, 1e-6);
    });
    tf.dispose(batch);
    const unlabelled = await makeBatches(data, { ...OPTIONS, labelled: false })(2);
    assertEquals(unlabelled.labels, undefined);
    tf.dispose(unlabelled);
  }));

Deno.test("makeBatches() drops its share of labels, and leaves the others at their images", () =>
  onCpu(async () => {
    const labelDrop = { nullClass: 5, share: 0.2 };
    const make = makeBatches(plainData(50, 5), { ...OPTIONS, batchSize: 100, labelDrop });
    let dropped = 0;
    for (let step = 0; step < 20; step++) {
      const batch = await make(step);
      const order = imageOrder(50, OPTIONS.seed, 100)(step);
      batch.labels!.dataSync().forEach((label, i) => {
        if (label === 5) dropped++;
        else assertEquals(label, order[i]! % 5);
      });
      tf.dispose(batch);
    }
    assertAlmostEquals(dropped / 2000, 0.2, 0.03); // three standard deviations
    for (const [share, count] of [[0, 0], [1, 100]] as const) {
      const all = { ...OPTIONS, batchSize: 100, labelDrop: { nullClass: 5, share } };
      const batch = await makeBatches(plainData(50, 5), all)(0);
      assertEquals(batch.labels!.dataSync().filter((label) => label === 5).length, count);
      tf.dispose(batch);
    }
  }));

Deno.test("makeBatches() draws noise that is N(0, 1)", () =>
  onCpu(async () => {
    const options = { ...OPTIONS, batchSize: 50 };
    const { eps, ...rest } = await makeBatches(plainData(50, 5, 20), options)(0);
    const { mean, variance } = tf.moments(eps);
    assertAlmostEquals(mean.dataSync()[0]!, 0, 0.03); // 20,000 numbers
    assertAlmostEquals(variance.dataSync()[0]!, 1, 0.04);
    tf.dispose([eps, rest, mean, variance]);
  }));

Deno.test("makeBatches() adds one offset to all pixels of an image's channel, of the deviation asked for", () =>
  onCpu(async () => {
    const data = plainData(50, 5, 3);
    const options = { ...OPTIONS, batchSize: 400 };
    const [plain, offset] = await Promise.all([
      makeBatches(data, options)(0),
      makeBatches(data, { ...options, offsetNoise: 0.5 })(0),
    ]);
    const shift = tf.tidy(() => tf.sub(offset.eps, plain.eps).dataSync());
    const offsets = Array.from({ length: 400 }, (_, image) => shift[9 * image]!);
    shift.forEach((value, i) => assertAlmostEquals(value, offsets[Math.floor(i / 9)]!, 1e-6));
    const square = offsets.reduce((sum, value) => sum + value ** 2, 0) / 400;
    assertAlmostEquals(Math.sqrt(square), 0.5, 0.06);
    for (const part of ["x0", "t", "weight", "labels"] as const) {
      assertEquals(offset[part]!.dataSync(), plain[part]!.dataSync(), part);
    }
    tf.dispose([plain, offset]);
  }));

Deno.test("makeBatches() gives a loss of the bound the steps of its timesteps", () =>
  onCpu(async () => {
    const batch = await makeBatches(plainData(50, 5), { ...OPTIONS, chain: true })(2);
    const chain = chainOf(OPTIONS.alphasCumprod);
    const [times, low] = [batch.t.dataSync(), batch.low!.dataSync()];
    times.forEach((t, i) => assertAlmostEquals(low[i]!, chain[t]!.low, 1e-5));
    assertEquals(batch.low!.shape, [16, 1, 1, 1]);
    tf.dispose(batch);
  }));

Deno.test("makeBatches() draws timesteps as its sampler says, with their importance", () =>
  onCpu(async () => {
    const times = Int32Array.from({ length: 16 }, (_, i) => 3 * i);
    const importance = Float64Array.from(times, (t) => 1 + t);
    const timesteps = { draw: () => ({ times, importance }) };
    const batch = await makeBatches(plainData(50, 5), { ...OPTIONS, timesteps })(0);
    assertEquals([...batch.t.dataSync()], [...times]);
    assertEquals([...batch.importance!.dataSync()], [...importance]);
    tf.dispose(batch);
  }));
