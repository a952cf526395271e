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
