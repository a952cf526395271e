/**
 * The default engine: a network is traced once for each shape of its inputs into an ONNX graph,
 * which ONNX Runtime computes in a thread of its own.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Weights } from "../models/weights.ts";
import type { Scales } from "../quantization/scales.ts";
import type {
  ChannelValues,
  Compiled,
  Computation,
  Engine,
  Iterated,
  Iteration,
  LayerValues,
  StatePart,
} from "./engine.ts";
import type { Layers, Seen, Watched } from "./onnx/layers.ts";
import { ELEMENT, Graph, type Target } from "./onnx/graph.ts";
import type { Numbers, Parcel } from "./onnx/messages.ts";
import { inHalves } from "./onnx/halves.ts";
import { packModel } from "./onnx/package.ts";
import { checkpointEdges } from "./onnx/parameters.ts";
import { encodeModel } from "./onnx/protobuf.ts";
import { type OpenOptions, type Runtime, type Session, startRuntime } from "./onnx/session.ts";
import {
  type InputForm,
  inputName,
  outputName,
  type Trace,
  traceComputation,
} from "./onnx/trace.ts";

export { shapesOf } from "./onnx/shapes.ts";
export type { InputForm } from "./onnx/trace.ts";

const SESSIONS = 4; // kept open for each computation: a full batch, a last batch, each with guidance

/** What ONNX Runtime can compute on, by its own names, with names for people. */
const PROVIDERS = {
  cpu: "the CPU",
  cuda: "a GPU by CUDA",
  coreml: "CoreML",
  dml: "a GPU by DirectML",
  webgpu: "a GPU by WebGPU",
} as const;

/** The name of a provider. */
export type ProviderName = keyof typeof PROVIDERS;

/**
 * Taken before the CPU by `auto`, where they are there and work. CUDA is there only where somebody
 * installed it on purpose. WebGPU, CoreML and DirectML come with the package whatever the hardware,
 * and nobody has measured yet where they are faster than the CPU, and as exact.
 */
const PREFERRED: readonly ProviderName[] = ["cuda"];

/** Options of {@linkcode onnxEngine}. */
export interface OnnxOptions {
  /** Threads that compute; all cores by default. */
  readonly threads?: number;
  /** What to compute on; `auto` by default, which is the CPU nearly everywhere. */
  readonly provider?: ProviderName | "auto";
}

/** ONNX Runtime as an engine. */
export interface OnnxEngine extends Engine {
  /** What the library can compute on; the hardware may be missing. */
  readonly providers: readonly string[];
}

/** How all sessions of an engine are opened. */
interface Place {
  readonly threads: number;
  readonly provider: ProviderName;
}

/** What opens models. */
type Opener = Pick<Runtime, "open">;

function targetOf({ provider }: Place): Target {
  return provider === "cpu" && Deno.build.arch === "x86_64" ? "blocks" : "runtime";
}

/**
 * Starts ONNX Runtime.
 *
 * @throws {Error} Where it cannot be loaded, as without `--allow-ffi`, or the provider asked for
 * is not there
 */
export async function onnxEngine(options: OnnxOptions = {}): Promise<OnnxEngine> {
  const threads = options.threads ?? navigator.hardwareConcurrency;
  await tf.ready();
  const runtime = await startRuntime().catch((error: Error) => {
    throw new Error(`Cannot use engine "onnx": ${error.message}`, { cause: error });
  });
  const { providers, version } = runtime;
  const provider = await chooseProvider(runtime, options.provider ?? "auto").catch(
    async (error) => {
      await runtime.stop();
      throw error;
    },
  );
  const place: Place = { threads, provider };
  let second: Promise<Runtime> | undefined; // a runtime computes one thing at a time
  const beside: Opener = {
    open: async (model, options) => await (await (second ??= startRuntime())).open(model, options),
  };
  const compileBytes = (computation: Computation, weights: Weights, scales: Scales): Compiled => {
    const layers = { scales, bytes: new Map() };
    const whole = compile(runtime, place, computation, weights, layers);
    if (threads < 2) return whole;
    const half = { ...place, threads: Math.floor(threads / 2) };
    return inHalves(
      whole,
      [runtime, beside].map((opener) => {
        return compile(opener, half, computation, weights, layers);
      }),
    );
  };
  return {
    name: "onnx",
    description: `ONNX Runtime ${version} on ${PROVIDERS[provider]}, ${threads} ${
      threads === 1 ? "thread" : "threads"
    }`,
    providers,
    compile: (computation, weights, scales) =>
      scales === undefined
        ? compile(runtime, place, computation, weights)
        : compileBytes(computation, weights, scales),
    bytes: provider === "cpu"
      ? {
        exact: () => multipliesBytes(runtime),
        watch: (computation, weights, onLayers) =>
          watch(runtime, place, computation, weights, onLayers),
      }
      : undefined,
    iterate: (iteration, start) => iterate(runtime, place, iteration, start),
    dispose: async () => {
      await runtime.stop();
      await (await second)?.stop();
    },
  };
}

/** The provider asked for, after it has shown that it works. */
async function chooseProvider(
  runtime: Runtime,
  wanted: ProviderName | "auto",
): Promise<ProviderName> {
  if (wanted === "auto") {
    for (const provider of PREFERRED) {
      if (!runtime.providers.includes(provider)) continue;
      if (await tryProvider(runtime, provider) === undefined) return provider;
    }
    return "cpu";
  }
  if (!runtime.providers.includes(wanted)) {
    throw new Error(
      `Cannot use provider "${wanted}": ONNX Runtime has ${runtime.providers.join(" and ")} here`,
    );
  }
  const fault = wanted === "cpu" ? undefined : await tryProvider(runtime, wanted);
  if (fault === undefined) return wanted;
  const others = runtime.providers.filter((provider) => provider !== wanted);
  throw new Error(
    `Cannot use provider "${wanted}": ${fault} (there is also ${others.join(" and ")})`,
  );
}

/** Opens a network of one addition: why that fails, or nothing. */
async function tryProvider(runtime: Runtime, provider: ProviderName): Promise<string | undefined> {
  const addition: Computation = (_, ...inputs) => inputs.map((x) => tf.add(x, x));
  const { model } = traceComputation(addition, checkpointEdges(new Map(), true), [[1]]);
  try {
    const session = await runtime.open(packModel(model), { threads: 1, provider });
    await session.close();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** A message without the place in ONNX Runtime's code and the condition that did not hold. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\n.*/s, "").replace(/^\/.* was false\. /, "");
}

/** Opens a network's graph; the CPU does not stand in for a provider that cannot. */
async function openGraph(
  runtime: Opener,
  { model }: Trace,
  options: Place & OpenOptions,
): Promise<Session> {
  const { provider } = options;
  try {
    return await runtime.open(packModel(model), options);
  } catch (error) {
    if (provider === "cpu") throw error;
    throw new Error(`Cannot open the network on provider "${provider}": ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * A computation as a whole ONNX model with its weights inside, for other programs.
 *
 * @param inputs The shape of each input; `{ shape, dtype }` where it is not float32
 * @param scales The layers that are computed in bytes
 */
export function trace(
  computation: Computation,
  weights: Weights,
  inputs: readonly InputForm[],
  scales?: Scales,
): Uint8Array<ArrayBuffer> {
  const source = checkpointEdges(weights, false);
  return encodeModel(traceComputation(computation, source, inputs, "any", { scales }).model);
}

/**
 * Whether ONNX Runtime's sums of products of bytes are exact: x86 without VNNI adds pairs of products
 * in sixteen bits, which these overflow.
 */
async function multipliesBytes(runtime: Runtime): Promise<boolean> {
  const [rows, size] = [4, 64];
  const graph = new Graph();
  const weights = graph.constant("int8", [size, rows], new Int8Array(size * rows).fill(127));
  const x = graph.input(inputName(0), "float32", [rows, size]);
  const bytes = graph.node("Cast", [x], { type: "uint8", dims: [rows, size] }, {
    to: ELEMENT.uint8,
  });
  const sums = graph.node("MatMulInteger", [bytes, weights], {
    type: "int32",
    dims: [rows, rows],
  });
  const session = await runtime.open(
    packModel(graph.model([graph.output(outputName(0), sums)])),
    { threads: 1 },
  );
  const data = new Float32Array(rows * size).fill(255);
  const [answer] = await session.run([
    { name: inputName(0), type: "float32", dims: [rows, size], data },
  ]);
  await session.close();
  return answer?.data.every((sum) => sum === size * 255 * 127) === true;
}

/** A computation whose layers are looked at. */
function watch(
  runtime: Runtime,
  place: Place,
  computation: Computation,
  weights: Weights,
  onLayers: (layers: readonly LayerValues[]) => void,
): Compiled {
  const opened = new Map<
    string,
    Promise<{ session: Session; watched: Watched[]; count: number }>
  >();
  return async (...inputs) => {
    const forms = inputs.map(formOf);
    const open = async () => {
      const watched: Watched[] = [];
      const source = checkpointEdges(weights, true);
      const traced = traceComputation(computation, source, forms, "runtime", { watched });
      const session = await openGraph(runtime, traced, place);
      return { session, watched, count: traced.outputs.length };
    };
    const key = JSON.stringify(forms);
    const known = opened.get(key) ?? open();
    opened.set(key, known);
    const { session, watched, count } = await known;
    const outputs = await session.run(await Promise.all(inputs.map(pack)));
    const seen = outputs.slice(count);
    const next = ({ channels, inner }: Seen): ChannelValues => {
      const data = seen.shift()?.data;
      if (!(data instanceof Float32Array)) throw new TypeError("Cannot watch a layer of integers");
      return { values: data, channels, inner };
    };
    onLayers(watched.map(({ layer, kind, parts, output }): LayerValues => {
      return { layer, kind, parts: parts.map(next), output: next(output) };
    }));
    return outputs.slice(0, count).map(unpack);
  };
}

function compile(
  runtime: Opener,
  place: Place,
  computation: Computation,
  weights: Weights,
  layers?: Layers,
): Compiled {
  const opened = new Map<string, Opened>(); // by the inputs' forms, the latest use last
  const thrifty = [...weights.values()].some(({ blocks }) => blocks !== undefined);
  // Filters that are made anew at each run cannot be arranged for blocks of channels before.
  const target = thrifty ? "runtime" : targetOf(place);
  const prepare = (forms: readonly InputForm[]): Promise<Session> => {
    const source = checkpointEdges(weights, true);
    const traced = traceComputation(computation, source, forms, target, layers);
    return openGraph(runtime, traced, { ...place, thrifty });
  };
  const use = async <T>(
    inputs: readonly tf.Tensor[],
    run: (session: Session) => Promise<T>,
  ): Promise<T> => {
    const key = inputs.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(" ");
    const entry = opened.get(key) ?? { session: prepare(inputs.map(formOf)), calls: 0 };
    opened.delete(key);
    opened.set(key, entry);
    entry.calls++;
    try {
      return await run(
        await entry.session.catch((error) => {
          opened.delete(key);
          throw error;
        }),
      );
    } finally {
      entry.calls--;
      await closeIdle(opened);
    }
  };
  const compute: Compiled = async (...inputs) => {
    const parcels = Promise.all(inputs.map(pack)); // read before anything else can dispose them
    const outputs = await use(inputs, async (session) => session.run(await parcels));
    return outputs.map(unpack);
  };
  compute.release = async () => {
    const entries = [...opened.values()];
    opened.clear();
    for (const { session } of entries) await (await session).close();
  };
  return compute;
}

/** An iteration as one graph; its state stays in the worker between the calls. */
function iterate(
  runtime: Runtime,
  place: Place,
  iteration: Iteration,
  start: readonly StatePart[],
): Iterated {
  const count = start.length;
  const computation: Computation = (_, ...tensors) => {
    const { state, outputs } = iteration(tensors.slice(0, count), tensors.slice(count));
    return [...state, ...outputs];
  };
  const parcels = start.map(({ shape, values }, index): Parcel => ({
    name: inputName(index),
    type: "float32",
    dims: shape,
    data: Float32Array.from(values),
  }));
  const open = async (inputs: readonly tf.Tensor[]): Promise<Session> => {
    const forms = [...start.map(({ shape }) => shape), ...inputs.map(formOf)];
    const source = checkpointEdges(new Map(), true);
    const traced = traceComputation(computation, source, forms, targetOf(place));
    // Threads that spin beside other programs nearly double the time of a long step.
    const session = await openGraph(runtime, traced, { ...place, spins: false });
    await session.hold(parcels);
    return session;
  };
  let opened: Promise<Session> | undefined;
  return {
    async next(...inputs) {
      const packed = Promise.all(inputs.map((input, index) => pack(input, count + index)));
      const session = await (opened ??= open(inputs));
      return (await session.run(await packed)).map(unpack);
    },
    async read() {
      const parts = opened === undefined ? parcels : await (await opened).read();
      return parts.map(({ data }) => Float32Array.from(data));
    },
    async dispose() {
      await (await opened)?.close();
    },
  };
}

function unpack({ data, dims, type }: Parcel): tf.Tensor {
  return tf.tensor(data, [...dims], type);
}

interface Opened {
  readonly session: Promise<Session>;
  /** Calls that are not yet answered. */
  calls: number;
}

/** Closes the sessions that were not used for longest, down to {@linkcode SESSIONS}. */
async function closeIdle(opened: Map<string, Opened>): Promise<void> {
  for (const [key, { session, calls }] of opened) {
    if (opened.size <= SESSIONS) return;
    if (calls > 0) continue;
    opened.delete(key);
    await (await session).close();
  }
}

function typeOf(tensor: tf.Tensor): "float32" | "int32" | "bool" {
  const { dtype } = tensor;
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new TypeError(`Cannot compute with a tensor of type ${dtype}`);
}

function formOf(tensor: tf.Tensor): InputForm {
  return { shape: tensor.shape, dtype: typeOf(tensor) };
}

/** A tensor's numbers in a buffer that may be given away. */
async function pack(tensor: tf.Tensor, index: number): Promise<Parcel> {
  const type = typeOf(tensor);
  const values = await tensor.data();
  const data: Numbers = type === "float32"
    ? Float32Array.from(values)
    : type === "int32"
    ? Int32Array.from(values)
    : Uint8Array.from(values);
  return { name: inputName(index), type, dims: tensor.shape, data };
}
