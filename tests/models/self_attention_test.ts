import { assert, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import type { Computation } from "../../engines/engine.ts";
import { onnxEngine } from "../../engines/onnx.ts";
import { loadedParameters } from "../../models/parameters.ts";
import { type Scope, scopeOf } from "../../models/scope.ts";
import { perturbed, receivedAttention } from "../../models/self_attention.ts";
import { differencesOf, unetOf } from "../_parity.ts";
import { readFixture } from "../_safetensors.ts";

await tf.setBackend("cpu");

const { weights, computation, inputs } = unetOf("unet2d-ddpm");
const network = (...inputs: tf.Tensor[]) => (scope: Scope) => {
  const [answer] = computation(scope, ...inputs);
  if (answer === undefined) throw new TypeError("The network gave no answer");
  return answer;
};
const CASES: Readonly<Record<string, Computation>> = {
  mid: (scope, ...inputs) => [perturbed(network(...inputs), scope, "mid_block")],
  all: (scope, ...inputs) => [perturbed(network(...inputs), scope, "all")],
  received: (scope, ...inputs) => [receivedAttention(network(...inputs), scope)],
};

for (const [name, run] of Object.entries(CASES)) {
  Deno.test(`self-attention is looked into as diffusers does: ${name}`, async () => {
    const expected = readFixture("self-attention/expected.safetensors")(name);
    const loaded = loadedParameters(weights);
    const check = (actual: tf.Tensor | undefined, tolerance: number) => {
      assert(actual !== undefined);
      for (const difference of differencesOf(actual, expected)) assert(difference <= tolerance);
    };
    tf.tidy(() => check(run(scopeOf(loaded), ...inputs())[0], 1e-5));
    loaded.dispose();
    const engine = await onnxEngine({ threads: 1 });
    try {
      tf.engine().startScope();
      check((await engine.compile(run, weights)(...inputs()))[0], 1e-4);
    } finally {
      tf.engine().endScope();
      await engine.dispose();
    }
  });
}

Deno.test("perturbed() names the layers of self-attention where it is told of none", () => {
  const loaded = loadedParameters(weights);
  const scope = scopeOf(loaded);
  for (const layers of ["up_blocks.9", "mid_block+mid", ""]) {
    tf.tidy(() => {
      const run = () => perturbed(network(...inputs()), scope, layers);
      assertThrows(run, TypeError, "mid_block.attentions.0");
    });
  }
  loaded.dispose();
});

Deno.test("receivedAttention() finds the middle of OpenAI's networks", () => {
  const openai = unetOf("openai-unet-legacy-pt");
  const loaded = loadedParameters(openai.weights);
  const sums = tf.tidy(() => {
    const run = (scope: Scope) => openai.computation(scope, ...openai.inputs());
    return receivedAttention(run, scopeOf(loaded)).mean(1).dataSync();
  });
  loaded.dispose();
  for (const sum of sums) assert(Math.abs(sum - 1) < 1e-5, `${sum}`);
});
