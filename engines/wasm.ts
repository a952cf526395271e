/**
 * tfjs in WebAssembly, on one core: no native code, so that it runs without `--allow-ffi`.
 *
 * @module
 */
import * as tf from "tfjs";

// Not a literal: Deno fetches literal imports before a program starts, so also for other engines.
const PACKAGE = "npm:@tensorflow/tfjs-backend-wasm@4.22.0";
const BACKEND = "wasm";

interface BackendModule {
  readonly version_wasm: string;
}

let loaded: Promise<string> | undefined;

/** Whether the package lies in Deno's cache, as after its first use in this project. */
export function isFetched(): boolean {
  return import.meta.resolve(PACKAGE).startsWith("file:");
}

/**
 * Loads the WebAssembly backend into tfjs and makes it current; it is fetched now if need be, which
 * takes no permission.
 *
 * @returns The version of the backend
 * @throws {Error} If it can neither be fetched nor found, or does not start
 */
export async function loadWasm(): Promise<string> {
  try {
    const version = await (loaded ??= register());
    if (!await tf.setBackend(BACKEND)) throw new Error("its backend does not start");
    return version;
  } catch (error) {
    loaded = undefined;
    const reason = (error instanceof Error ? error.message : String(error)).replace(/\n.*/s, "");
    throw new Error(`Cannot use engine "wasm": ${reason}`, { cause: error });
  }
}

async function register(): Promise<string> {
  const { version_wasm: version }: BackendModule = await import(PACKAGE); // registers itself
  if (tf.getKernel("LogSoftmax", BACKEND) === undefined) {
    tf.registerKernel({ kernelName: "LogSoftmax", backendName: BACKEND, kernelFunc: logSoftmax });
  }
  return version;
}

/** The one kernel of our networks and their input gradients that the package lacks. */
function logSoftmax({ inputs, attrs }: Parameters<tf.KernelFunc>[0]): tf.TensorInfo {
  // Kernels are given tensors, whose declared type leaves out what other backends do not need.
  const { logits } = inputs as { logits?: tf.Tensor };
  const { axis } = attrs as { axis?: number };
  if (logits === undefined) throw new TypeError("LogSoftmax takes logits");
  const shifted = tf.sub(logits, tf.max(logits, axis, true));
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), axis, true)));
}
