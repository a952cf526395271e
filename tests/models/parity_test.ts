import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { loadedParameters } from "../../models/parameters.ts";
import { scopeOf } from "../../models/scope.ts";
import { networkOf, NETWORKS } from "../_networks.ts";
import { allDifferences, classifierOf, type Parity, unetOf } from "../_parity.ts";

const POSITIONS = "text_model.embeddings.position_ids"; // 0, 1, 2, …, in files of old

/**
 * Computes on the `cpu` backend, whose operations are plain loops; all of a checkpoint's tensors
 * must be used, and the computation's own freed.
 */
async function check(
  { weights, computation, inputs, expected }: Parity,
  tolerance: number,
): Promise<void> {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const loaded = loadedParameters(weights);
  const used = new Set<string>();
  const scope = scopeOf({ ...loaded, get: (spec) => (used.add(spec.name), loaded.get(spec)) });
  const differences = tf.tidy(() => allDifferences(computation(scope, ...inputs()), expected));
  loaded.dispose();
  assertEquals(tf.memory().numTensors, before);
  assertEquals([...weights.keys()].filter((name) => !used.has(name) && name !== POSITIONS), []);
  differences.forEach((difference, index) =>
    assert(
      difference <= tolerance,
      `element ${index} differs by ${difference} of its largest value`,
    )
  );
}

const UNETS = ["unet2d-ddpm", "unet2d-ddpm-legacykeys", "unet2d-classcond", "unet2d-ncsnpp"];

for (const name of UNETS) {
  Deno.test(`unet2d() gives what diffusers gives for ${name}`, () => check(unetOf(name), 1e-5));
}

for (const name of NETWORKS) {
  Deno.test(`networks give what diffusers and transformers give for ${name}`, () =>
    check(networkOf(name), 1e-5));
}

for (const kind of ["legacy-pt", "neworder", "convresample"]) {
  Deno.test(`openaiUNet() gives what guided-diffusion gives for openai-unet-${kind}`, () =>
    check(unetOf(`openai-unet-${kind}`), 1e-5));
}

for (const pool of ["attention", "adaptive", "spatial"]) {
  const open = () => classifierOf(`openai-classifier-${pool}`);
  Deno.test(`encoderUNet() gives OpenAI's logits with ${pool} pooling`, () =>
    check(open().logits, 1e-5));
  Deno.test(`classifierGradient() gives OpenAI's gradient with ${pool} pooling`, () =>
    check(open().gradient, 1e-4));
}
