/**
 * The engines by name, and the choice of the fastest one present.
 *
 * @module
 */
import * as tf from "tfjs";
import { eagerEngine } from "./eager.ts";
import type { Engine } from "./engine.ts";

/** What an engine may be told. */
export interface EngineOptions {
  /** Threads of the CPU; all cores where absent. */
  readonly threads?: number | undefined;
}

/** The engines, the preferred first. Each throws an Error in one sentence where it is not there. */
export const engines = {
  onnx: async ({ threads }: EngineOptions): Promise<Engine> => {
    await computeOnHost();
    const { onnxEngine } = await import("./onnx.ts");
    return await onnxEngine(threads === undefined ? {} : { threads });
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
}

/** Opens an engine to see whether it is there, and closes it; fetches nothing. */
export async function inspectEngine(name: EngineName): Promise<Presence> {
  if (name === "wasm" && !(await import("./wasm.ts")).isFetched()) {
    return {
      present: false,
      reason: "not fetched yet: --engine wasm does that at its first use (2.5 MB)",
    };
  }
  try {
    const engine = await engines[name]({});
    await engine.dispose();
    return { present: true, description: engine.description };
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
