/**
 * libtensorflow as a backend of tfjs, through the addon of `@tensorflow/tfjs-node-gpu`.
 *
 * `deno task native` installs that package into `.native/`, so that nobody else downloads it.
 *
 * @module
 */
import { createRequire, Module } from "node:module";
import util from "node:util";
import * as tf from "tfjs";

/** What `deno task native` leaves in `ready.json` when the backend works. */
export interface NativeInstall {
  /** Package specifier, with version. */
  package: string;
  /** Where libtensorflow came from: `script`, `wheel` or an absolute folder. */
  source: string;
  /** Path of the addon, relative to the folder of `ready.json`. */
  addon: string;
}

interface Addon {
  TF_Version: string;
  isUsingGpuDevice(): boolean;
}

interface BackendModule {
  NodeJSKernelBackend: new (addon: Addon, packageName: string) => tf.KernelBackend;
}

const PACKAGE = "@tensorflow/tfjs-node-gpu";
const BACKEND = "tensorflow";

/** The folder that `deno task native` makes. */
export const NATIVE_FOLDER: URL = new URL("../.native/tfjs/", import.meta.url);

// Kernels of the package call what Node 23 and Deno no longer have (tfjs issue 8609).
const REMOVED_FROM_UTIL = {
  isNullOrUndefined: (value: unknown): boolean => value === null || value === undefined,
  isArray: (value: unknown): boolean => Array.isArray(value),
};

const DEFAULT_ENV = {
  TF_CPP_MIN_LOG_LEVEL: "2", // errors only
  TF_ENABLE_ONEDNN_OPTS: "1", // a training step is 2 to 3 times as fast
};

/** What libc has under the same name on Linux and macOS. */
const LIBC = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

let loaded: { version: string; gpu: boolean } | undefined;

/**
 * Loads libtensorflow's backend into tfjs and makes it current.
 *
 * @param folder Where the package is installed, the default but for tests
 * @returns The version of libtensorflow, and whether it computes on a GPU
 * @throws {Error} If the backend is not installed or cannot be loaded
 */
export async function loadTensorflow(
  folder: URL = NATIVE_FOLDER,
): Promise<{ version: string; gpu: boolean }> {
  loaded ??= register(folder);
  await tf.setBackend(BACKEND);
  return loaded;
}

function register(folder: URL): { version: string; gpu: boolean } {
  const install = readInstall(folder);
  for (const [name, value] of Object.entries(DEFAULT_ENV)) {
    if (Deno.env.get(name) === undefined) Deno.env.set(name, value);
  }
  for (const [name, value] of Object.entries(REMOVED_FROM_UTIL)) {
    if (!(name in util)) Object.assign(util, { [name]: value });
  }
  try {
    const require = createRequire(new URL("package.json", folder));
    shareTfjs(require.resolve(`${PACKAGE}/package.json`));
    const addon: Addon = quietly(() => require(`./${install.addon}`));
    const { NodeJSKernelBackend }: BackendModule = require(
      `${PACKAGE}/dist/nodejs_kernel_backend.js`,
    );
    require(`${PACKAGE}/dist/register_all_kernels.js`);
    tf.registerBackend(BACKEND, () => new NodeJSKernelBackend(addon, PACKAGE), 3);
    return { version: addon.TF_Version, gpu: addon.isUsingGpuDevice() };
  } catch (error) {
    const reason = error instanceof Deno.errors.NotCapable
      ? "native code needs --allow-ffi"
      : `${reasonOf(error)} (run "deno task native --force")`;
    throw new Error(`Cannot use engine "tensorflow": ${reason}`, { cause: error });
  }
}

/** Makes the package `require()` the tfjs that this program imports: one engine, one `Tensor`. */
function shareTfjs(importer: string): void {
  const require = createRequire(importer);
  for (const name of ["@tensorflow/tfjs", "@tensorflow/tfjs-core"]) {
    const path = require.resolve(name);
    const shared = new Module(path);
    shared.filename = path;
    shared.exports = tf;
    shared.loaded = true;
    require.cache[path] = shared;
  }
}

/**
 * Closes stderr to native code while it loads: what libtensorflow prints before it has read
 * `TF_CPP_MIN_LOG_LEVEL` ignores it. Level 0 or 1, set by the user, leaves stderr open.
 */
function quietly<T>(load: () => T): T {
  if (Number(Deno.env.get("TF_CPP_MIN_LOG_LEVEL")) < 2 || Deno.build.os === "windows") {
    return load();
  }
  let libc: Deno.DynamicLibrary<typeof LIBC>;
  try {
    libc = Deno.dlopen(Deno.build.os === "darwin" ? "libSystem.dylib" : "libc.so.6", LIBC);
  } catch {
    return load(); // another libc, or --allow-ffi for .native alone
  }
  const { open, dup, dup2, close } = libc.symbols;
  const stderr = dup(2);
  const sink = open(new TextEncoder().encode("/dev/null\0"), 1); // O_WRONLY
  dup2(sink, 2);
  try {
    return load();
  } finally {
    dup2(stderr, 2);
    close(stderr);
    close(sink);
    libc.close();
  }
}

function readInstall(folder: URL): NativeInstall {
  try {
    return JSON.parse(Deno.readTextFileSync(new URL("ready.json", folder)));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      'Cannot use engine "tensorflow": libtensorflow is not installed (run "deno task native")',
    );
  }
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\n.*/s, "");
}
