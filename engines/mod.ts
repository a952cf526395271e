/**
 * The engines by name, and the choice of the fastest one present.
 *
 * @module
 */
import * as tf from "tfjs";
import { eagerEngine } from "./eager.ts";
import type { Engine } from "./engine.ts";
import type { OnnxEngine, ProviderName } from "./onnx.ts";

export type { ProviderName } from "./onnx.ts";

/** What an engine may be told. */
export interface EngineOptions {
  /** Threads of the CPU; all cores where absent. */
  readonly threads?: number | undefined;
  /** What ONNX Runtime computes on; `auto` by default. Any other asks for the engine `onnx`. */
  readonly provider?: ProviderName | "auto" | undefined;
}

/** The engines in the order of `auto`. Each throws an Error in one sentence where it is not there. */
export const engines = {
  onnx: async ({ threads, provider = "auto" }: EngineOptions): Promise<OnnxEngine> => {
    await computeOnHost();
    const { onnxEngine } = await import("./onnx.ts");
    return await onnxEngine({ provider, ...threads === undefined ? {} : { threads } });
  },
  tensorflow: async (): Promise<Engine> => {
    tf.enableProdMode();
    const { loadTensorflow } = await import("./tensorflow.ts");
    const { version, gpu } = await loadTensorflow();
    return eagerEngine("tensorflow", `libtensorflow ${version} on the ${gpu ? "GPU" : "CPU"}`);
  },
  wasm: async (): Promise<Engine> => {
    tf.enableProdMode();
    const { loadWasm } = await import("./wasm.ts");
    return eagerEngine("wasm", `tfjs ${await loadWasm()} in WebAssembly on one core`);
  },
  cpu: async (): Promise<Engine> => {
    await computeOnHost();
    return eagerEngine("cpu", "plain JavaScript on one core");
  },
  // After cpu, which is everywhere, so that auto never takes it: to ask for a GPU takes longer than a
  // small run with onnx, and what is found may be software, several times slower than wasm.
  webgpu: async (): Promise<Engine> => {
    tf.enableProdMode();
    const { loadWebgpu } = await import("./webgpu.ts");
    return eagerEngine("webgpu", `tfjs through WebGPU on ${await loadWebgpu()}`);
  },
} as const;

/** The name of an engine. */
export type EngineName = keyof typeof engines;

/** The names, for option tables. */
export const ENGINE_NAMES = Object.keys(engines) as EngineName[];

/** Level arithmetic on images is small: plain JavaScript does it where the engine is not tfjs. */
async function computeOnHost(): Promise<void> {
  tf.enableProdMode(); // silences tfjs' advertisement of its other backends
  await tf.setBackend("cpu");
}

/**
 * Opens an engine; `auto` takes the first that is there.
 *
 * @param onSkip is told why a preferred engine was passed over.
 * @throws {Error} Where the engine asked for is not there; the message says how to mend it.
 */
export async function openEngine(
  name: EngineName | "auto",
  options: EngineOptions = {},
  onSkip: (name: EngineName, reason: string) => void = () => {},
): Promise<Engine> {
  const { provider = "auto" } = options;
  if (provider !== "auto" && name !== "auto" && name !== "onnx") {
    throw new Error(
      `Cannot use provider "${provider}" with engine "${name}": only engine "onnx" has providers`,
    );
  }
  if (provider !== "auto") return await engines.onnx(options); // in silence nothing replaces it
  if (name !== "auto") return await engines[name](options);
  for (const candidate of ENGINE_NAMES) {
    try {
      return await engines[candidate](options);
    } catch (error) {
      onSkip(candidate, error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error("Cannot compute: no engine is there");
}

/** Whether an engine is on this machine. */
export interface Presence {
  readonly present: boolean;
  /** What it computes on. */
  readonly description?: string;
  /** Why it is not there, or was not tried, and how to mend that. */
  readonly reason?: string;
  /** What ONNX Runtime was built to compute on, whether or not the hardware is there. */
  readonly providers?: readonly string[];
}

/** Opens an engine to see whether it is there, and closes it; fetches nothing. */
export async function inspectEngine(name: EngineName): Promise<Presence> {
  if (name === "wasm" && !(await import("./wasm.ts")).isFetched()) {
    return notFetched(name, "2.5 MB");
  }
  if (name === "webgpu" && !(await import("./webgpu.ts")).isFetched()) {
    return notFetched(name, "3 MB");
  }
  try {
    const engine: Engine & Partial<OnnxEngine> = await engines[name]({});
    await engine.dispose();
    const { description, providers } = engine;
    return { present: true, description, ...providers === undefined ? {} : { providers } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const flag = /--allow-\w+/.exec(message)?.[0]; // it is there, as far as that can be seen
    if (flag !== undefined) {
      return { present: true, reason: `installed; not tried without ${flag}` };
    }
    const why = message.replace(/^Cannot use engine "\w+": /, "").replace(/\n.*/s, "");
    const hint = name === "onnx" ? " (--engine wasm needs no native code)" : "";
    return { present: false, reason: `${why}${hint}` };
  }
}

function notFetched(name: EngineName, size: string): Presence {
  return {
    present: false,
    reason: `not fetched yet: --engine ${name} does that at its first use (${size})`,
  };
}
