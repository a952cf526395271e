/**
 * tfjs in WebAssembly, on one core: no native code, so that it runs without `--allow-ffi`.
 *
 * @module
 */
import * as tf from "tfjs";

/**
 * The package. Never imported as a literal, nor named in `deno.json` or `deno.lock`: Deno fetches
 * all of those before a program starts, so also for other engines.
 */
export const WASM_PACKAGE = "npm:@tensorflow/tfjs-backend-wasm@4.22.0";
const BACKEND = "wasm";

interface BackendModule {
  readonly version_wasm: string;
}

/** Whether the package lies in Deno's cache, as after its first use in this project. */
export function isFetched(): boolean {
  return import.meta.resolve(WASM_PACKAGE).startsWith("file:");
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
    const { version_wasm: version }: BackendModule = await import(WASM_PACKAGE); // registers itself
    if (!await tf.setBackend(BACKEND)) throw new Error("its backend does not start");
    return version;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replace(/\n.*/s, "");
    throw new Error(`Cannot use engine "wasm": ${reason}`, { cause: error });
  }
}
