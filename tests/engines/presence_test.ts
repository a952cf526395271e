import { assert, assertEquals, assertMatch } from "@std/assert";
import sample from "../../commands/sample.ts";
import { ENGINE_NAMES } from "../../engines/mod.ts";
import { deno, spawn, testedEngines } from "./_engines.ts";

interface Listed {
  readonly name: string;
  readonly present: boolean;
  readonly description?: string;
  readonly reason?: string;
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function list(permissions: readonly string[], ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await deno(
    ...["run", "--no-prompt", "--allow-read", ...permissions, "cli.ts", "list", "engines", ...args],
  );
  assert(success, decode(stderr));
  assertEquals(decode(stderr), "");
  return decode(stdout);
}

async function present(...permissions: string[]): Promise<Map<string, Listed>> {
  const { engines }: { engines: Listed[] } = JSON.parse(await list(permissions, "--json"));
  assertEquals(engines.map(({ name }) => name), ENGINE_NAMES);
  return new Map(engines.map((engine) => [engine.name, engine]));
}

const missing = new Map((await testedEngines()).map(({ name, missing }) => [name, missing]));

Deno.test("engines are tried in the order of their speed, and sample offers them all", () => {
  assertEquals(ENGINE_NAMES, ["onnx", "tensorflow", "wasm", "cpu", "webgpu"]);
  assertEquals([...sample.flags.engine.choices], ["auto", ...ENGINE_NAMES]);
});

Deno.test("list engines opens the engines to say what they compute on", async () => {
  const found = await present("--allow-ffi", "--allow-env");
  const { present: here, description, reason } = found.get("onnx") ?? {};
  assertEquals([here, reason], [true, undefined]);
  assertMatch(description ?? "", /^ONNX Runtime \d+\.\d+\.\d+ on the CPU, \d+ threads?$/);
  const tensorflow = found.get("tensorflow");
  assertEquals(tensorflow?.present, missing.get("tensorflow") === undefined);
  if (tensorflow?.present) {
    assertMatch(tensorflow.description ?? "", /^libtensorflow \d+\.\d+\.\d+ on the [CG]PU$/);
  } else {
    assertMatch(tensorflow?.reason ?? "", /^libtensorflow is not installed \(run "deno task/);
  }
  assertEquals(found.get("cpu")?.description, "plain JavaScript on one core");
});

Deno.test("list engines does not fetch wasm, and says what would", async () => {
  const { present: here, reason } = (await present()).get("wasm") ?? {};
  assertEquals(here, false);
  assertMatch(reason ?? "", /^not fetched yet: --engine wasm does that/);
});

Deno.test("list engines says which permission it lacks to try an engine", async () => {
  const text = await list([]);
  assertMatch(text, /onnx .*\n +here +installed; not tried without --allow-ffi\n/);
  assertMatch(text, /cpu .*\n +here +plain JavaScript on one core\n/);
});

Deno.test("auto passes over engines that are not there, and says why", async () => {
  const { name, skipped } = await spawn([], "auto", "nothing");
  assertEquals(name, missing.get("wasm") === undefined ? "wasm" : "cpu");
  assertEquals(skipped[0], 'Cannot use engine "onnx": native code needs --allow-ffi');
  assertEquals(skipped.length, name === "wasm" ? 2 : 3);
});
