/**
 * ONNX Runtime in a thread of its own: `session.run` blocks the thread that calls it.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import type { InferenceSession } from "onnxruntime-node";
import type { Parcel, Reply, Request, Signature, Task } from "./messages.ts";

type Runtime = typeof import("onnxruntime-node");

const ERRORS_ONLY = 3; // logSeverityLevel

type Tensors = Record<string, InstanceType<Runtime["Tensor"]>>;

/** What a session carries on from run to run, in two sets of buffers that change places. */
interface Held {
  /** By the names of the inputs. */
  current: Tensors;
  /** Under the same names, what the next run writes into. */
  spare: Tensors;
}

const sessions = new Map<number, InferenceSession>();
const held = new Map<number, Held>();

/**
 * Of a graph that says itself what is computed in bytes. ONNX Runtime would move scales of channels to
 * where it has no operation for them, and turn convolutions to channels last: that moves transposes
 * over to floats, which are four times as large, where the convolution's own are hidden in it.
 */
const BYTES_AS_THEY_ARE = {
  session: { disable_quant_qdq: "1" },
  optimization: { disable_specified_optimizers: "NhwcTransformer" },
};

function optionsOf(task: Task & { kind: "open" }): InferenceSession.SessionOptions {
  const { session: whole = {}, optimization = {} } = task.bytes ? BYTES_AS_THEY_ARE : {};
  const session = {
    ...whole,
    ...task.spins ? {} : { intra_op: { allow_spinning: "0" } },
    ...task.folder === "" ? {} : { model_external_initializers_file_folder_path: task.folder },
  };
  return {
    executionProviders: [task.provider],
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    intraOpNumThreads: task.threads,
    enableCpuMemArena: !task.thrifty,
    ...task.provider === "dml" ? { enableMemPattern: false } : {}, // DirectML refuses it
    logSeverityLevel: ERRORS_ONLY,
    ...task.blobs.length > 0 ? { externalData: [...task.blobs] } : {},
    extra: { session, optimization },
  };
}

/** A result in a buffer of its own, as it is transferred. */
function parcel(name: string, value: InferenceSession.OnnxValueMapType[string]): Parcel {
  const { type, dims, data } = value;
  if (type === "float32" && data instanceof Float32Array) {
    return { name, type, dims, data: new Float32Array(data) };
  }
  if (type === "int32" && data instanceof Int32Array) {
    return { name, type, dims, data: new Int32Array(data) };
  }
  if (type === "bool" && data instanceof Uint8Array) {
    return { name, type, dims, data: new Uint8Array(data) };
  }
  throw new Error(`Cannot return ${name}: its type is ${type}`);
}

function tensors(runtime: Runtime, parcels: readonly Parcel[]): Tensors {
  return Object.fromEntries(
    parcels.map(({ name, type, dims, data }) => [name, new runtime.Tensor(type, data, dims)]),
  );
}

async function run(runtime: Runtime, number: number, inputs: readonly Parcel[]): Promise<Parcel[]> {
  const session = sessions.get(number);
  if (session === undefined) throw new Error(`Cannot run session ${number}: it is not open`);
  const { outputNames } = session;
  const state = held.get(number);
  const fetches: Record<string, Tensors[string] | null> = {};
  const spares = Object.values(state?.spare ?? {});
  outputNames.forEach((name, index) => fetches[name] = spares[index] ?? null);
  const results = await session.run({ ...tensors(runtime, inputs), ...state?.current }, fetches);
  if (state !== undefined) [state.current, state.spare] = [state.spare, state.current];
  return outputNames.slice(spares.length).map((name) => {
    const value = results[name];
    if (value === undefined) throw new Error(`Cannot find ${name} among the results`);
    return parcel(name, value);
  });
}

function hold(runtime: Runtime, number: number, state: readonly Parcel[]): void {
  const empty = state.map((part) => ({ ...part, data: part.data.slice() }));
  held.set(number, { current: tensors(runtime, state), spare: tensors(runtime, empty) });
}

function read(number: number): Parcel[] {
  const { current = {} } = held.get(number) ?? {};
  return Object.entries(current).map(([name, value]) => parcel(name, value));
}

function signatureOf({ inputMetadata, outputNames }: InferenceSession): Signature {
  const inputs = inputMetadata.flatMap((it) =>
    it.isTensor ? [{ name: it.name, type: it.type, shape: it.shape }] : []
  );
  return { inputs, outputs: outputNames };
}

async function perform(runtime: Runtime, { id, task }: Request): Promise<Reply> {
  if (task.kind === "run") return { id, outputs: await run(runtime, task.session, task.inputs) };
  if (task.kind === "read") return { id, outputs: read(task.session) };
  if (task.kind === "hold") {
    hold(runtime, task.session, task.state);
  } else if (task.kind === "open") {
    const session = await runtime.InferenceSession.create(task.model, optionsOf(task));
    for (const { data } of task.blobs) data.buffer.transfer(0); // ONNX Runtime has copied them
    sessions.set(task.session, session);
    return { id, signature: signatureOf(session) };
  } else {
    await release(task.kind === "close" ? [task.session] : [...sessions.keys()]);
  }
  return { id };
}

async function release(numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    await sessions.get(number)?.release();
    sessions.delete(number);
    held.delete(number);
  }
}

function answer(reply: Reply): void {
  self.postMessage(reply, (reply.outputs ?? []).map(({ data }) => data.buffer));
}

/** Reported as bundled, or brought by the package's install script. */
function providersOf(runtime: Runtime): string[] {
  return runtime.listSupportedBackends()
    .filter(({ name, bundled }) => bundled || (name === "cuda" && isCudaInstalled()))
    .map(({ name }) => name);
}

function isCudaInstalled(): boolean {
  const { os, arch } = Deno.build;
  if (os !== "linux" || arch !== "x86_64") return false; // the script has it for no other
  try {
    const library = "../bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so";
    return Deno.statSync(new URL(library, import.meta.resolve("onnxruntime-node"))).isFile;
  } catch {
    return false;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

try {
  const runtime = await import("onnxruntime-node");
  let last = Promise.resolve(); // tasks are done one after another, in the order of their arrival
  self.onmessage = ({ data }: MessageEvent<Request>) => {
    last = last.then(async () => {
      try {
        answer(await perform(runtime, data));
      } catch (error) {
        answer({ id: data.id, error: textOf(error) });
      }
    });
  };
  answer({
    id: -1,
    version: runtime.env.versions.node ?? runtime.env.versions.common,
    providers: providersOf(runtime),
  });
} catch (error) {
  const reason = error instanceof Deno.errors.NotCapable
    ? "native code needs --allow-ffi"
    : textOf(error);
  answer({ id: -1, error: reason });
}
