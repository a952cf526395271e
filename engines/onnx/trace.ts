/**
 * Turns a computation, written in tfjs operations, into an ONNX graph.
 *
 * @module
 */
import * as tf from "tfjs";
import { type ParameterSpec, type Scope, scopeOf, TO_STORED } from "../../models/scope.ts";
import type { Computation } from "../engine.ts";
import { BACKEND, KERNELS, type TraceBackend, traceBackend } from "./backend.ts";
import { type Edge, Graph, type Model, type Target } from "./graph.ts";
import type { Layers } from "./layers.ts";
import { elementType, natural, plain, type Value, value } from "./value.ts";

const STACK = 100; // frames, so that an error names the network's own function

/** An input of a computation: its shape, and its type where it is not float32. */
export type InputForm = readonly number[] | {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32" | "bool";
};

/** Supplies the graph's parameters, each in its stored layout. */
export interface EdgeSource {
  edge(graph: Graph, spec: ParameterSpec): Edge;
  has(name: string, otherwise: boolean): boolean;
}

/** A traced computation. */
export interface Trace {
  readonly model: Model;
  readonly outputs: readonly { readonly shape: readonly number[]; readonly dtype: tf.DataType }[];
  readonly parameters: readonly ParameterSpec[];
}

/** The inputs of a graph are called `input0`, `input1`, …, its outputs `output0`, … */
export function inputName(index: number): string {
  return `input${index}`;
}

/** The name of an output. */
export function outputName(index: number): string {
  return `output${index}`;
}

/** A value over a parameter that is stored as the checkpoint has it. */
function parameterValue(graph: Graph, spec: ParameterSpec, source: EdgeSource): Value {
  const order = TO_STORED[spec.layout] ?? natural(spec.shape.length);
  return value(source.edge(graph, spec), spec.shape, order);
}

/**
 * Runs a computation on the tracing backend.
 *
 * @param target What the graph is made for
 * @param layers How its layers are computed, beyond the plain way
 */
export function traceComputation(
  computation: Computation,
  source: EdgeSource,
  forms: readonly InputForm[],
  target: Target = "blocks",
  layers: Layers = {},
): Trace {
  const backend = traceBackend();
  const graph = new Graph(target, layers);
  const parameters = new Map<string, ParameterSpec>();
  const tensor = (value: Value) => {
    const { dataId, shape, dtype } = backend.hold(value);
    return tf.engine().makeTensorFromDataId(dataId, shape, dtype, backend);
  };
  const tensors = new Map<string, tf.Tensor>();
  let part = "";
  const scope: Scope = scopeOf({
    get(spec) {
      part = spec.name;
      const key = `${spec.name} ${spec.layout} ${spec.shape}`;
      const known = tensors.get(key);
      if (known !== undefined) return known;
      const made = tf.keep(tensor(parameterValue(graph, spec, source)));
      parameters.set(spec.name, spec);
      tensors.set(key, made);
      return made;
    },
    has: source.has,
  });
  return onBackend(backend, graph, () => {
    try {
      const inputs = forms.map((form, index) => {
        const { shape, dtype } = "shape" in form
          ? form
          : { shape: form, dtype: "float32" as const };
        return tensor(value(graph.input(inputName(index), elementType(dtype), shape), shape));
      });
      const results = computation(scope, ...inputs);
      const outputs = results.map((result, index) =>
        graph.output(outputName(index), plain(graph, backend.lookup(result)))
      );
      const seen = (layers.watched ?? []).flatMap(({ parts, output }) => [...parts, output]);
      outputs.push(...seen.map(({ name, edge }) => graph.output(name, edge)));
      return {
        model: graph.model(outputs),
        outputs: results.map(({ shape, dtype }) => ({ shape, dtype })),
        parameters: [...parameters.values()],
      };
    } catch (error) {
      throw explain(error, part);
    } finally {
      for (const tensor of tensors.values()) tensor.dispose();
    }
  });
}

/** Runs a function with the tracing backend current, and leaves no tensor behind. */
function onBackend<T>(backend: TraceBackend, graph: Graph, run: () => T): T {
  const engine = tf.engine();
  tf.backend(); // the host's, chosen now where it was not before
  const host = tf.getBackend();
  const outer = backend.graph;
  const { stackTraceLimit } = Error;
  const variables = new Set(Object.keys(engine.registeredVariables));
  // Both switches happen before setBackend's promise is there: neither backend starts up late.
  tf.setBackend(BACKEND);
  backend.graph = graph;
  Error.stackTraceLimit = STACK;
  engine.startScope("trace");
  try {
    return run();
  } finally {
    for (const [name, variable] of Object.entries(engine.registeredVariables)) {
      if (!variables.has(name)) variable.dispose();
    }
    engine.endScope();
    Error.stackTraceLimit = stackTraceLimit;
    backend.graph = outer;
    tf.setBackend(host);
  }
}

/** What tfjs says of an unknown kernel, with the kernel's caller. */
function explain(error: unknown, part: string): unknown {
  if (!(error instanceof Error)) return error;
  const kernel = /Kernel '(\w+)' not registered/.exec(error.message)?.[1];
  if (kernel === undefined || kernel in KERNELS) return error;
  const caller = callerOf(error.stack ?? "");
  const where = [caller && `called by ${caller}`, part && `near parameter "${part}"`]
    .filter((text) => text).join(", ");
  return new Error(
    `Cannot trace the tfjs operation ${kernel}: the onnx engine does not know it${
      where && ` (${where})`
    }`,
    { cause: error },
  );
}

/** The first frame of a stack that is neither tfjs nor the tracer. */
function callerOf(stack: string): string {
  for (const line of stack.split("\n")) {
    const frame = /^\s*at (?:(.+) \()?(?:file:\/\/)?(.+?):(\d+):\d+\)?$/.exec(line);
    if (frame === null) continue;
    const [, name = "", path = "", row = ""] = frame;
    const own = path.startsWith(new URL(".", import.meta.url).pathname);
    if (own || /node_modules|registry\.npmjs\.org|^(?:ext|node):/.test(path)) continue;
    const file = path.split("/").slice(-2).join("/");
    return `${name && `${name}, `}${file}:${row}`;
  }
  return "";
}
