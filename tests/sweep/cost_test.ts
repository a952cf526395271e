import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import type { Engine } from "../../engines/engine.ts";
import { makePlan } from "../../pipeline/plan.ts";
import { callsOf } from "../../sweep/calls.ts";
import { metered } from "../../sweep/meter.ts";

const model = { scheduler: { _class_name: "DDIMScheduler" }, recommended: {} };

Deno.test("callsOf() counts the network's calls of any sampler and path", async () => {
  tf.enableProdMode(); // silences an advertisement
  await tf.setBackend("cpu");
  const calls = async (sampler: string, steps: number, spacing?: string) =>
    await callsOf(await makePlan(model, { sampler, steps, spacing }));
  assertEquals(await calls("ddim", 7), 7);
  assertEquals(await calls("heun", 7, "karras"), 13); // the last step is Euler's
  assertEquals(await calls("dpm_adaptive", 7, "karras"), undefined);
  const before = tf.memory().numTensors;
  await calls("dpmpp_2m", 5);
  assertEquals(tf.memory().numTensors, before);
});

const wait = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/** Answers its input; new shapes take it long. */
function slowEngine(first: number): { engine: Engine; runs: () => number } {
  let runs = 0;
  const seen = new Set<string>();
  const engine: Engine = {
    name: "slow",
    description: "slow",
    compile: () => async (x) => {
      runs++;
      const shape = x?.shape.join() ?? "";
      if (!seen.has(shape)) await wait(first);
      seen.add(shape);
      return [tf.clone(x ?? tf.zeros([1]))];
    },
    dispose: () => Promise.resolve(),
  };
  return { engine, runs: () => runs };
}

Deno.test("metered() counts calls, and times them without what is done once or aside", async () => {
  await tf.setBackend("cpu");
  const { engine, runs } = slowEngine(300);
  const meter = metered(engine);
  const network = meter.engine.compile(() => [], new Map());
  const [small, large] = [tf.zeros([1]), tf.zeros([2])];
  const before = tf.memory().numTensors;
  const { result, seconds, calls } = await meter.measure(async () => {
    for (const x of [small, small, large]) tf.dispose(await network(x));
    await meter.aside(() => wait(300));
    return "done";
  });
  assertEquals([result, calls, runs()], ["done", 3, 7]); // two to warm up for each shape
  assert(seconds < 0.3, `${seconds} s`);
  tf.dispose(await network(tf.zeros([3]))); // not measured, so not warmed up for
  assertEquals(runs(), 8);
  const again = await meter.measure(async () => tf.dispose(await network(small)));
  assertEquals([again.calls, runs()], [1, 9]);
  assertEquals(tf.memory().numTensors, before + 1);
});
