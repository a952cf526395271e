/**
 * What the host and the worker that runs ONNX Runtime say to each other.
 *
 * @module
 */

/** Numbers of a tensor on their way. */
export type Numbers = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** A tensor on its way. */
export interface Parcel {
  readonly name: string;
  readonly type: "float32" | "int32" | "bool";
  readonly dims: readonly number[];
  readonly data: Numbers;
}

/** Bytes of initializers under the name by which the model points at them. */
export interface Blob {
  readonly path: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What is asked of the worker. */
export type Task =
  | {
    readonly kind: "open";
    readonly session: number;
    readonly model: Uint8Array<ArrayBuffer>;
    readonly folder: string;
    readonly blobs: readonly Blob[];
    /** Whether layers are computed in bytes. */
    readonly bytes: boolean;
    readonly threads: number;
    /** What it is computed on, by ONNX Runtime's name. */
    readonly provider: string;
    /** Whether threads wait for work by spinning, which costs other programs their time. */
    readonly spins: boolean;
    /** Whether memory goes back to the system as soon as it is not needed. */
    readonly thrifty: boolean;
  }
  | { readonly kind: "run"; readonly session: number; readonly inputs: readonly Parcel[] }
  /** Keeps inputs of a session: each run replaces them by as many of its first outputs. */
  | { readonly kind: "hold"; readonly session: number; readonly state: readonly Parcel[] }
  | { readonly kind: "read"; readonly session: number }
  | { readonly kind: "close"; readonly session: number }
  | { readonly kind: "stop" };

/** A task with the number by which its answer is known. */
export interface Request {
  readonly id: number;
  readonly task: Task;
}

/** An answer; `id` is -1 for the first, which says whether ONNX Runtime was loaded. */
export interface Reply {
  readonly id: number;
  readonly error?: string;
  readonly version?: string;
  /** Providers that can be asked for; with the version. */
  readonly providers?: readonly string[];
  readonly outputs?: readonly Parcel[];
  /** Of a model that was opened. */
  readonly signature?: Signature;
}

/** What a model takes and gives, as it says itself. */
export interface Signature {
  readonly inputs: readonly {
    readonly name: string;
    readonly type: string;
    /** Sizes, or the names of those that are free. */
    readonly shape: readonly (number | string)[];
  }[];
  /** The names of its outputs, in their order. */
  readonly outputs: readonly string[];
}
