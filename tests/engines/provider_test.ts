import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as tf from "tfjs";
import sample from "../../commands/sample.ts";
import type { Computation, Engine } from "../../engines/engine.ts";
import { openEngine, type ProviderName } from "../../engines/mod.ts";
import { onnxEngine } from "../../engines/onnx.ts";

/** The providers of this machine's ONNX Runtime, and what an engine without options takes. */
async function inspect() {
  const { providers, description, dispose } = await onnxEngine({ threads: 1 });
  await dispose();
  return { providers, description };
}

const { providers, description } = await inspect();

Deno.test("ONNX Runtime always has the CPU, and auto takes it where CUDA is not installed", async () => {
  assert(providers.includes("cpu"));
  if (!providers.includes("cuda")) assertMatch(description, / on the CPU, 1 thread$/);
  const engine = await openEngine("onnx", { threads: 1, provider: "cpu" });
  assertMatch(engine.description, /^ONNX Runtime \S+ on the CPU, 1 thread$/);
  assertEquals(await double(engine), [2, 4]);
  await engine.dispose();
});

for (const provider of sample.flags.provider.choices) {
  if (provider === "auto" || provider === "cpu") continue;
  if (providers.includes(provider)) {
    Deno.test(`provider ${provider} computes, or says why it does not`, () => tryOut(provider));
  } else {
    Deno.test(`provider ${provider} is refused with the names of those that are here`, async () => {
      for (const engine of ["onnx", "auto"] as const) {
        await assertRejects(
          () => openEngine(engine, { provider }),
          Error,
          `Cannot use provider "${provider}": ONNX Runtime has ${providers.join(" and ")} here`,
        );
      }
    });
  }
}

async function tryOut(provider: ProviderName): Promise<void> {
  let engine: Engine;
  try {
    engine = await openEngine("auto", { threads: 1, provider });
  } catch (error) {
    assert(error instanceof Error);
    assertMatch(error.message, /^Cannot use provider "\w+": [^\n]+ \(there is also cpu.*\)$/);
    return;
  }
  assertEquals(engine.name, "onnx");
  assertEquals(await double(engine), [2, 4]);
  await engine.dispose();
}

async function double(engine: Engine): Promise<number[]> {
  const computation: Computation = (_, ...inputs) => inputs.map((x) => tf.add(x, x));
  const [y] = await engine.compile(computation, new Map())(tf.tensor1d([1, 2]));
  return [...await y?.data() ?? []];
}

Deno.test("a provider is refused with an engine that has none", async () => {
  await assertRejects(
    () => openEngine("cpu", { provider: "webgpu" }),
    Error,
    'Cannot use provider "webgpu" with engine "cpu": only engine "onnx" has providers',
  );
});
