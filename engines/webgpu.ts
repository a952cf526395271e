/**
 * tfjs on the GPU, through the WebGPU that Deno brings: no native code of ours, no permission.
 *
 * @module
 */
import * as tf from "tfjs";

/**
 * The package. Never imported as a literal, nor named in `deno.json` or `deno.lock`: Deno fetches
 * all of those before a program starts, so also for other engines.
 */
export const WEBGPU_PACKAGE = "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";
const BACKEND = "webgpu";

/** Chooses the shader of a matrix product: -1 lets the backend choose. */
const SHADER = "WEBGPU_MATMUL_PROGRAM_TYPE";
const [CHOOSE, PACKED] = [-1, 3];
const LONG = 2000; // terms of a sum that the backend may split

let mended = false;

/** Whether the package lies in Deno's cache, as after its first use in this project. */
export function isFetched(): boolean {
  return import.meta.resolve(WEBGPU_PACKAGE).startsWith("file:");
}

/**
 * Loads the WebGPU backend into tfjs and makes it current; it is fetched now if need be, which takes
 * no permission.
 *
 * @returns The name of the GPU
 * @throws {Error} If there is no GPU, or the backend can neither be fetched nor found, or does not
 * start
 */
export async function loadWebgpu(): Promise<string> {
  try {
    const name = await findAdapter();
    await import(WEBGPU_PACKAGE); // registers itself
    mendProducts();
    if (!await tf.setBackend(BACKEND)) throw new Error("its backend does not start");
    return name;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replace(/\n.*/s, "");
    throw new Error(`Cannot use engine "webgpu": ${reason}`, { cause: error });
  }
}

/** The name of the GPU that the backend will take. */
async function findAdapter(): Promise<string> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Error("there is no GPU with a driver for Vulkan, Metal or DirectX 12");
  }
  const { description, isFallbackAdapter } = adapter.info;
  const name = description === "" ? "the GPU" : description;
  return isFallbackAdapter ? `${name}, in software` : name;
}

/**
 * Keeps the backend from the shader that splits long sums where the second matrix is transposed:
 * in version 4.22.0 its results are wrong there, and with them gradients by wide layers.
 */
function mendProducts(): void {
  if (mended) return;
  mended = true;
  for (const name of ["BatchMatMul", "_FusedMatMul"]) {
    const kernel = tf.getKernel(name, BACKEND);
    tf.unregisterKernel(name, BACKEND);
    tf.registerKernel({
      ...kernel,
      kernelFunc(call) {
        const terms = call.inputs.b?.shape.at(-1) ?? 0;
        if (call.attrs?.transposeB !== true || terms < LONG) return kernel.kernelFunc(call);
        tf.env().set(SHADER, PACKED);
        try {
          return kernel.kernelFunc(call);
        } finally {
          tf.env().set(SHADER, CHOOSE);
        }
      },
    });
  }
}
