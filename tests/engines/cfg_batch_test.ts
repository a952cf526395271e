import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { eagerEngine } from "../../engines/eager.ts";
import type { Engine } from "../../engines/engine.ts";
import { imageNoise, imageSeeds } from "../../noise/mod.ts";
import { type CfgBatch, guidedPredict, loadDenoiser } from "../../pipeline/denoiser.ts";
import { type Model, openModel } from "../../pipeline/model.ts";
import { makePlan } from "../../pipeline/plan.ts";
import { run } from "../../pipeline/run.ts";
import { assertClose, check, readPngs, refuse, succeed } from "../commands/_main.ts";
import { writeTiny } from "../commands/_tiny.ts";

/** The values of three images, and the labels that each call of the network was given. */
async function draw(model: Model, cfgBatch: CfgBatch | undefined, guidance: readonly string[]) {
  const calls: number[][] = [];
  const eager = eagerEngine("cpu", "");
  const engine: Engine = {
    ...eager,
    compile(computation, weights) {
      const compiled = eager.compile(computation, weights);
      return (...inputs) => {
        calls.push([...inputs[2]?.dataSync() ?? []]);
        return compiled(...inputs);
      };
    },
  };
  const { sampler, levels, guidances } = await makePlan(model, { steps: 4, guidance });
  const before = tf.memory().numTensors;
  const x = await run({
    sampler,
    path: levels,
    predict: guidedPredict(
      loadDenoiser(model, engine, cfgBatch),
      { network: Int32Array.of(0, 1, 2) },
      guidances,
      sampler.plugin.takesShift === true,
    ),
    noise: imageNoise("philox", imageSeeds(3, 3), [8, 8, 1]),
  });
  const values = [...x.dataSync()];
  x.dispose();
  await engine.dispose();
  assertEquals(tf.memory().numTensors, before);
  return { values, calls };
}

check(
  "cfg-batch sequential computes the halves in two calls, to the same images",
  async (folder) => {
    await writeTiny(folder);
    const model = openModel(folder);
    const labels = [0, 1, 2];
    const none = [3, 3, 3];
    for (const guidance of [["cfg,scale=3"], ["cfg,scale=3", "cfg,scale=1.5"]]) {
      const together = await draw(model, undefined, guidance);
      assertEquals(together.calls, Array(4).fill([...none, ...labels]));
      assertEquals(await draw(model, "together", guidance), together);
      const sequential = await draw(model, "sequential", guidance);
      assertEquals(sequential.calls, Array(4).fill([labels, none]).flat());
      const differences = together.values.map((v, i) =>
        Math.abs(v - (sequential.values[i] ?? NaN))
      );
      assert(Math.max(...differences) <= 1e-5, `${Math.max(...differences)}`);
    }
    const plain = await draw(model, "sequential", ["none"]);
    assertEquals(plain.calls, Array(4).fill(labels));
  },
);

check("cfg-batch sequential computes no half that a guidance does not ask for", async (folder) => {
  await writeTiny(folder);
  const { calls } = await draw(openModel(folder), "sequential", ["cfg,scale=3,until=0.5"]);
  assertEquals(calls.map(([label]) => label), [0, 3, 0, 3, 0, 0]);
});

/** Counts a network's calls, each of which makes one class embedding; each answer starts anew. */
function countCalls(): () => number {
  const kernel = tf.getKernel("OneHot", "cpu");
  let calls = 0;
  tf.unregisterKernel("OneHot", "cpu");
  tf.registerKernel({ ...kernel, kernelFunc: (call) => (calls++, kernel.kernelFunc(call)) });
  return () => {
    const found = calls;
    calls = 0;
    return found;
  };
}

check("sample --cfg-batch sequential draws the image that together draws", async (folder) => {
  const model = join(folder, "tiny");
  await writeTiny(model);
  const sample = async (...args: string[]) => {
    const { stdout } = await succeed(
      ...["sample", model, "--engine", "cpu", "--steps", "3", "--seed", "5", ...args],
    );
    const [image] = readPngs(stdout);
    assert(image !== undefined);
    return image;
  };
  const cfg = ["--guidance", "cfg,scale=3"];
  const calls = countCalls();
  const together = await sample(...cfg, "--cfg-batch", "together");
  assertEquals(calls(), 3);
  assertEquals((await sample(...cfg)).pixels, together.pixels);
  assertEquals(calls(), 3);
  assertClose(await sample(...cfg, "--cfg-batch", "sequential"), together);
  assertEquals(calls(), 6);
  assertNotEquals((await sample("--guidance", "none")).pixels, together.pixels);
  await refuse(2, "did you mean sequential?", "sample", model, "--cfg-batch", "sequental");
});
