import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { philoxAt } from "../../noise/mod.ts";
import { alphasCumprodOf } from "../../schedules/mod.ts";
import { lognormalTimesteps, secondMoment, spreadTimesteps } from "../../training/timesteps/mod.ts";

Deno.test("spreadTimesteps() takes one timestep out of each share, in range", () => {
  const [size, count] = [8, 1000];
  for (const share of [0, 0.5, 1 - 2 ** -24]) {
    const times = spreadTimesteps(new Float32Array(size).fill(share), count);
    times.forEach((t, index) => {
      assert(t >= index * 125 && t < (index + 1) * 125, `${t} at ${index} for ${share}`);
    });
  }
  assertEquals([...spreadTimesteps(new Float32Array(4), 4)], [0, 1, 2, 3]);
  assertEquals([...spreadTimesteps(new Float32Array([0.99, 0.99]), 3)], [1, 2]);
});

Deno.test("spreadTimesteps() is uniform over all timesteps", () => {
  const count = 20;
  const hits = new Float64Array(count);
  const [batches, size] = [400, 7]; // shares that do not fall together with timesteps
  for (let step = 0; step < batches; step++) {
    for (const t of spreadTimesteps(philoxAt(1, 2, step).uniform(size), count)) hits[t]!++;
  }
  const mean = batches * size / count; // 140
  hits.forEach((hit, t) => assertAlmostEquals(hit / mean, 1, 0.25, `timestep ${t}`));
});

/** A sampler whose ten losses of timestep t all are `loss(t)`. */
function warm(count: number, loss: (t: number) => number) {
  const sampler = secondMoment(count);
  const times = Array.from({ length: count }, (_, t) => t);
  for (let round = 0; round < 10; round++) sampler.memory.observe(times, times.map(loss));
  return sampler;
}

Deno.test("secondMoment() is uniform until every timestep has ten losses", () => {
  const sampler = secondMoment(4);
  const times = [0, 1, 2, 3];
  for (let round = 0; round < 10; round++) {
    assertEquals([...sampler.probabilities()], [0.25, 0.25, 0.25, 0.25], `round ${round}`);
    sampler.memory.observe(times, [1, 2, 3, round]);
  }
  assert(sampler.probabilities()[0]! < 0.25);
});

Deno.test("secondMoment() follows the root of the mean square of the last ten losses", () => {
  const sampler = warm(3, (t) => t + 1);
  const share = (moments: number[], t: number) =>
    moments[t]! / moments.reduce((sum, moment) => sum + moment) * (1 - 1e-3) + 1e-3 / 3;
  sampler.probabilities().forEach((chance, t) =>
    assertAlmostEquals(chance, share([1, 2, 3], t), 1e-7)
  );
  sampler.memory.observe([0, 0], [5, 7]); // the oldest two are forgotten
  const moment = Math.sqrt((8 + 25 + 49) / 10);
  sampler.probabilities().forEach((chance, t) =>
    assertAlmostEquals(chance, share([moment, 2, 3], t), 1e-7)
  );
  const total = sampler.probabilities().reduce((sum, chance) => sum + chance, 0);
  assertAlmostEquals(total, 1, 1e-12);
});

Deno.test("secondMoment() keeps a timestep without loss alive, and all alike where all are 0", () => {
  const chances = warm(5, (t) => t === 2 ? 0 : 1).probabilities();
  assertAlmostEquals(chances[2]!, 1e-3 / 5, 1e-12);
  assertEquals([...warm(5, () => 0).probabilities()], new Array(5).fill(1 / 5));
});

Deno.test("secondMoment() weighs what it draws so that the mean loss stays that of uniform draws", () => {
  const count = 50;
  const loss = (t: number) => 1 + 0.2 * t ** 1.5;
  const sampler = warm(count, loss);
  let [weighted, drawn] = [0, 0];
  const hits = new Float64Array(count);
  for (let step = 0; step < 400; step++) {
    const { times, importance } = sampler.draw(philoxAt(3, 0, step).uniform(16));
    times.forEach((t, i) => {
      weighted += importance![i]! * loss(t);
      hits[t]!++;
      drawn++;
    });
  }
  const mean = Array.from({ length: count }, (_, t) => loss(t)).reduce((a, b) => a + b) / count;
  assertAlmostEquals(weighted / drawn, mean, 0.005 * mean);
  hits.forEach((hit, t) => {
    const expected = sampler.probabilities()[t]! * drawn;
    assert(Math.abs(hit - expected) < 5 * Math.sqrt(expected) + 2, `${hit} of ${expected} at ${t}`);
  });
});

Deno.test("secondMoment() goes on from what was saved as if nothing had happened", () => {
  const sampler = secondMoment(6);
  const observe = (own: ReturnType<typeof secondMoment>, from: number, to: number) => {
    for (let step = from; step < to; step++) {
      const { times } = own.draw(philoxAt(1, 0, step).uniform(8));
      own.memory.observe(times, Array.from(times, (t) => (t + 1) / (step + 2)));
    }
  };
  observe(sampler, 0, 12); // some timesteps have ten losses, some fewer
  const resumed = secondMoment(6);
  resumed.memory.restore(sampler.memory.save());
  for (const own of [sampler, resumed]) observe(own, 12, 40);
  assertEquals(resumed.memory.save(), sampler.memory.save());
  assertEquals(resumed.probabilities(), sampler.probabilities());
  assertThrows(
    () => secondMoment(5).memory.restore(sampler.memory.save()),
    RangeError,
    "losses of 6 timesteps: there are 5",
  );
});

Deno.test("lognormalTimesteps() draws EDM's levels of noise, the nearest there are", () => {
  const alphasCumprod = alphasCumprodOf({ beta_schedule: "squaredcos_cap_v2" });
  const logs = Array.from(alphasCumprod, (share) => 0.5 * Math.log((1 - share) / share));
  const sampler = lognormalTimesteps(alphasCumprod, { mean: -1.2, deviation: 1.2 });
  const drawn: number[] = [];
  for (let step = 0; step < 100; step++) {
    const { times, importance } = sampler.draw(philoxAt(5, 0, step).uniform(32));
    assertEquals(importance, undefined);
    drawn.push(...Array.from(times, (t) => logs[t]!));
  }
  const mean = drawn.reduce((sum, log) => sum + log, 0) / drawn.length;
  const spread = Math.sqrt(drawn.reduce((sum, log) => sum + (log - mean) ** 2, 0) / drawn.length);
  assertAlmostEquals(mean, -1.2, 0.02);
  assertAlmostEquals(spread, 1.2, 0.02);
  // The median of the distribution, to the nearest timestep.
  const [t] = sampler.draw(new Float32Array([0.5])).times;
  const off = logs.map((log) => Math.abs(log + 1.2));
  assertEquals(t, off.indexOf(Math.min(...off)));
});
