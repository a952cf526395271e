/**
 * Computes on one engine and prints the results as JSON: each engine has a process of its own, with
 * no more permissions than it needs.
 *
 * Usage: `_child.ts ENGINE parity`, `_child.ts ENGINE images MODEL`, or `_child.ts ENGINE nothing`,
 * where ENGINE is a name, auto, or onnx:PROVIDER
 *
 * @module
 */
import * as tf from "tfjs";
import type { Engine } from "../../engines/engine.ts";
import { ENGINE_NAMES, openEngine } from "../../engines/mod.ts";
import { imageNoise, imageSeeds } from "../../noise/mod.ts";
import { guidedPredict, loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import { makePlan } from "../../pipeline/plan.ts";
import { run } from "../../pipeline/run.ts";
import { networkOf } from "../_networks.ts";
import { allDifferences, classifierOf, type Parity, unetOf } from "../_parity.ts";
import { casesOf, type Found, GUIDANCES } from "./_engines.ts";

/** The differences of each fixture's batch elements. */
async function parity(engine: Engine, cases: readonly string[]): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  const backend = tf.getBackend();
  for (const name of cases) {
    const [fixture = "", part] = name.split(" ");
    const { weights, computation, inputs, expected }: Parity = part === undefined
      ? networkOf(fixture)
      : part === "output"
      ? unetOf(fixture)
      : classifierOf(fixture)[part === "logits" ? part : "gradient"];
    const given = tf.tidy(inputs);
    const outputs = await engine.compile(computation, weights)(...given);
    await Promise.all(outputs.map((output) => output.data())); // a GPU cannot be waited for later
    await tf.setBackend("cpu");
    found[name] = tf.tidy(() => allDifferences(outputs, expected));
    tf.dispose([given, outputs]);
    await tf.setBackend(backend);
  }
  return found;
}

/** Two images for each list of guidances. */
async function images(engine: Engine, folder: string): Promise<Record<string, number[]>> {
  const model = openModel(folder);
  const denoiser = loadDenoiser(model, engine);
  const found: Record<string, number[]> = {};
  for (const guidance of GUIDANCES) {
    const plan = await makePlan(model, { sampler: "ddpm", steps: 3, guidance });
    const labels = Int32Array.of(1, 4);
    const x = await run({
      sampler: plan.sampler,
      path: plan.levels,
      predict: guidedPredict(
        denoiser,
        { network: labels, classifier: labels },
        plan.guidances,
        plan.sampler.plugin.takesShift === true,
      ),
      noise: imageNoise("philox", imageSeeds(7, 2), [8, 8, 3]),
    });
    found[String(guidance)] = [...await x.data()];
    x.dispose();
  }
  return found;
}

const [candidate = "", task, folder = ""] = Deno.args;
const [name, provider] = candidate.split(":");
const skipped: string[] = [];
const engine = await openEngine(
  ENGINE_NAMES.find((known) => known === name) ?? "auto",
  { threads: 1, provider: provider === "webgpu" ? provider : "auto" },
  (_, reason) => skipped.push(reason),
);
const before = tf.memory().numTensors;
const results = task === "parity"
  ? await parity(engine, casesOf(candidate))
  : task === "images"
  ? await images(engine, folder)
  : {};
await engine.dispose();
const left = tf.memory().numTensors - before;
const found: Found = { name: engine.name, skipped, left, results };
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(found)));
