/**
 * The engines that this machine has, each to be run in a process of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { EngineName } from "../../engines/mod.ts";
import { WASM_PACKAGE } from "../../engines/wasm.ts";
import { WEBGPU_PACKAGE } from "../../engines/webgpu.ts";
import { NETWORKS } from "../_networks.ts";

/** An engine, or a provider of ONNX Runtime that is none by itself. */
export type Candidate = EngineName | "onnx:webgpu";

/** An engine to test. */
export interface Tested {
  readonly name: Candidate;
  /** Whether each of its operations is computed as it is called. */
  readonly eager: boolean;
  /** Why it is left out here. */
  readonly missing?: string | undefined;
}

const FEW: readonly string[] = [
  "unet2d-ddpm output",
  "unet2d-classcond output",
  "unet2d-ncsnpp output",
  "openai-unet-legacy-pt output",
  "openai-unet-convresample output",
  ...["attention", "adaptive", "spatial"].flatMap((pool) => [
    `openai-classifier-${pool} logits`,
    `openai-classifier-${pool} gradient`,
  ]),
];

/** Fixtures and the part of each that is compared; without a part, all outputs. */
export function casesOf(engine: string): readonly string[] {
  // WebGPU compiles a program for each shape, which takes minutes where no hardware helps.
  return engine.includes("webgpu") ? FEW : [...FEW, ...NETWORKS];
}

/** Lists of guidances to draw images with. */
export const GUIDANCES: readonly (readonly string[])[] = [
  ["cfg,scale=2"],
  ["cfg,scale=1.5", "classifier,scale=2", "threshold"],
];

const child = fromFileUrl(new URL("_child.ts", import.meta.url));

/** Runs Deno to its end. --no-lock: what is in deno.lock is fetched by everybody. */
export async function deno(...args: string[]): Promise<Deno.CommandOutput> {
  const [command = "", ...rest] = args;
  return await new Deno.Command(Deno.execPath(), {
    args: [command, "--no-lock", "--quiet", ...rest],
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
  }).output();
}

async function reasonToSkip(name: Candidate): Promise<string | undefined> {
  if (name === "onnx:webgpu") {
    if (!await navigator.gpu?.requestAdapter()) return "there is no GPU";
    const { success, stderr } = await start(NATIVE, name, "nothing");
    return success ? undefined : /Cannot use [^\n]*/.exec(new TextDecoder().decode(stderr))?.[0];
  }
  if (name === "wasm") {
    return (await deno("cache", WASM_PACKAGE)).success ? undefined : "it cannot be fetched";
  }
  if (name === "webgpu") {
    if (!await navigator.gpu?.requestAdapter()) return "there is no GPU";
    return (await deno("cache", WEBGPU_PACKAGE)).success ? undefined : "it cannot be fetched";
  }
  if (name !== "tensorflow") return undefined;
  try {
    await Deno.stat(new URL("../../.native/tfjs/ready.json", import.meta.url));
    return undefined;
  } catch {
    return "deno task native installs it";
  }
}

/** All engines. */
export async function testedEngines(): Promise<Tested[]> {
  const names = ["cpu", "onnx", "tensorflow", "wasm", "webgpu", "onnx:webgpu"] as const;
  return await Promise.all(names.map(async (name) => ({
    name,
    eager: !name.startsWith("onnx"),
    missing: await reasonToSkip(name),
  })));
}

/** The name of a test, which says why it is ignored. */
export function titleOf({ name, missing }: Tested, claim: string): string {
  return missing === undefined ? `${name} engine ${claim}` : `${name} engine, not here: ${missing}`;
}

/** What the process of an engine prints. */
export interface Found {
  readonly name: string;
  /** Why engines were passed over. */
  readonly skipped: readonly string[];
  /** Tensors that were not freed. */
  readonly left: number;
  readonly results: Readonly<Record<string, readonly number[]>>;
}

const NATIVE = ["--allow-ffi", "--allow-env"] as const;

function start(permissions: readonly string[], ...args: readonly string[]) {
  return deno("run", "--no-prompt", "--allow-read", ...permissions, child, ...args);
}

/** Runs `_child.ts`. */
export async function spawn(
  permissions: readonly string[],
  ...args: readonly string[]
): Promise<Found> {
  const { success, stdout, stderr } = await start(permissions, ...args);
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(success, true, decode(stderr));
  return JSON.parse(decode(stdout));
}

/** What an engine computes with the permissions that it needs; it must leave no tensor behind. */
export async function compute(
  engine: Candidate,
  ...task: ["parity"] | ["images", string]
): Promise<Found["results"]> {
  const native = engine.startsWith("onnx") || engine === "tensorflow";
  const { name, left, results } = await spawn(native ? NATIVE : [], engine, ...task);
  assertEquals([name, left], [engine.split(":")[0], 0]);
  return results;
}
