/**
 * The tfjs backend that computes nothing: its tensors are {@linkcode Value}s, and its kernels add
 * nodes to a graph.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Graph } from "./graph.ts";
import { Attributes, type Call, type Kernel, type Kernels } from "./kernel.ts";
import { CONVOLUTION } from "./kernels/convolution.ts";
import { ELEMENTWISE } from "./kernels/elementwise.ts";
import { IMAGE } from "./kernels/image.ts";
import { MATRIX } from "./kernels/matrix.ts";
import { NORMALIZATION } from "./kernels/normalization.ts";
import { REDUCTION } from "./kernels/reduction.ts";
import { SHAPE } from "./kernels/shape.ts";
import { constant, dataType, elementType, type Value } from "./value.ts";

/** The backend's name in tfjs. */
export const BACKEND = "denoise-trace";

/** All kernels that can be traced. */
export const KERNELS: Kernels = {
  ...ELEMENTWISE,
  ...REDUCTION,
  ...SHAPE,
  ...MATRIX,
  ...CONVOLUTION,
  ...IMAGE,
  ...NORMALIZATION,
};

type Numbers = Float32Array | Int32Array | Uint8Array;

/** What a tensor of this backend holds. */
interface Entry {
  /** Numbers that are known while tracing; absent for what the graph computes. */
  readonly numbers: Numbers | undefined;
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  /** The value in the graph that was traced last. */
  value: Value | undefined;
  graph: Graph | undefined;
  references: number;
}

/** Holds symbolic values for tfjs. */
export class TraceBackend extends tf.KernelBackend {
  readonly #entries: tf.DataStorage<Entry> = new tf.DataStorage(this, tf.engine());
  /** The graph that kernels add to; absent outside a trace. */
  graph: Graph | undefined;

  #current(): Graph {
    if (this.graph === undefined) {
      throw new Error("Cannot compute with a tensor of a trace that has ended");
    }
    return this.graph;
  }

  /** A tfjs tensor's value in the current graph. */
  lookup(info: tf.TensorInfo): Value {
    const graph = this.#current();
    const entry = this.#entries.get(info.dataId);
    if (entry.graph !== graph) {
      if (entry.numbers === undefined) {
        throw new Error("Cannot compute with a tensor that was made in another trace");
      }
      entry.value = constant(graph, elementType(entry.dtype), entry.shape, entry.numbers);
      entry.graph = graph;
    }
    if (entry.value === undefined) throw new Error("Cannot compute with a tensor without value");
    return entry.value;
  }

  /** A new tensor of this backend. */
  hold(value: Value): tf.TensorInfo {
    const dataId = {};
    const shape = [...value.shape];
    const dtype = dataType(value.edge.type);
    this.#entries.set(dataId, {
      numbers: undefined,
      shape,
      dtype,
      value,
      graph: this.#current(),
      references: 1,
    });
    return { dataId, shape, dtype };
  }

  #keep(
    dataId: tf.DataId,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    references: number,
  ) {
    const known = values instanceof Float32Array || values instanceof Int32Array ||
      values instanceof Uint8Array;
    if (!known) throw new Error(`Cannot trace a tensor of type ${dtype}`);
    this.#entries.set(dataId, {
      numbers: values,
      shape,
      dtype,
      value: undefined,
      graph: undefined,
      references,
    });
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    const dataId = {};
    this.#keep(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(
    dataId: tf.DataId,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    references: number,
  ): void {
    this.#keep(dataId, values, shape, dtype, references);
  }

  override readSync(dataId: tf.DataId): tf.BackendValues {
    const { numbers, shape } = this.#entries.get(dataId);
    if (numbers !== undefined) return numbers;
    throw new Error(
      `Cannot read a tensor of shape [${shape.join(", ")}] while its network is traced: its ` +
        "values are known only when the network runs (dataSync, data, array or print was called)",
    );
  }

  override read(dataId: tf.DataId): Promise<tf.BackendValues> {
    return Promise.resolve().then(() => this.readSync(dataId));
  }

  override refCount(dataId: tf.DataId): number {
    return this.#entries.has(dataId) ? this.#entries.get(dataId).references : 0;
  }

  override incRef(dataId: tf.DataId): void {
    this.#entries.get(dataId).references++;
  }

  override disposeData(dataId: tf.DataId, force = false): boolean {
    if (!this.#entries.has(dataId)) return true;
    const entry = this.#entries.get(dataId);
    entry.references--;
    if (!force && entry.references > 0) return false;
    this.#entries.delete(dataId);
    return true;
  }

  override numDataIds(): number {
    return this.#entries.numDataIds();
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override timerAvailable(): boolean {
    return false;
  }

  override dispose(): void {}
}

let registered: TraceBackend | undefined;

/** The backend, registered in tfjs at the first call; its priority keeps it from being a default. */
export function traceBackend(): TraceBackend {
  if (registered !== undefined) return registered;
  const backend = new TraceBackend();
  registered = backend;
  tf.registerBackend(BACKEND, () => backend, -1);
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: bind(backend, kernelName, kernel),
    });
  }
  return backend;
}

/** A kernel as tfjs calls it. */
function bind(backend: TraceBackend, kernelName: string, kernel: Kernel): tf.KernelFunc {
  return ({ inputs, attrs }) => {
    const { graph } = backend;
    if (graph === undefined) throw new Error(`Cannot run ${kernelName} outside a trace`);
    const optional = (name: string) => {
      const info = inputs[name];
      return info === undefined || info === null ? undefined : backend.lookup(info);
    };
    const call: Call = {
      graph,
      attributes: new Attributes(kernelName, attrs ?? {}),
      get inputs() {
        return Object.values(inputs).flatMap((info) => info ? [backend.lookup(info)] : []);
      },
      optional,
      input(name) {
        const value = optional(name);
        if (value === undefined) throw new Error(`Cannot trace ${kernelName}: no input "${name}"`);
        return value;
      },
    };
    const result = kernel(call);
    if ("edge" in result) return backend.hold(result);
    return result.map((value) => backend.hold(value));
  };
}
