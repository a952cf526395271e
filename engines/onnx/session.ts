/**
 * The host's side of the worker that runs ONNX Runtime.
 *
 * @module
 */
import type { Blob, Parcel, Reply, Request, Signature, Task } from "./messages.ts";

/** A model, ready to be opened. */
export interface Package {
  readonly model: Uint8Array<ArrayBuffer>;
  /** The folder that the model's external files are in, or nothing. */
  readonly folder: string;
  readonly blobs: readonly Blob[];
  /** Whether layers are computed in bytes; false by default. */
  readonly bytes?: boolean;
}

/** A model that ONNX Runtime has opened. */
export interface Session {
  readonly signature: Signature;
  /** Computes; takes over the buffers of its inputs. */
  run(inputs: readonly Parcel[]): Promise<readonly Parcel[]>;
  /**
   * Keeps inputs in the worker from now on: each run replaces them by as many of its first outputs,
   * and returns the others. Takes over their buffers.
   */
  hold(state: readonly Parcel[]): Promise<void>;
  /** What is kept, copied. */
  read(): Promise<readonly Parcel[]>;
  close(): Promise<void>;
}

/** How a model is run. */
export interface OpenOptions {
  readonly threads: number;
  /** What computes, one of {@linkcode Runtime.providers}: `cpu` by default. */
  readonly provider?: string;
  /** Whether threads that wait for work spin: true by default. */
  readonly spins?: boolean;
  /** Whether memory goes back to the system as soon as it is not needed: false by default. */
  readonly thrifty?: boolean;
}

/** ONNX Runtime in its own thread. */
export interface Runtime {
  readonly version: string;
  /** Providers that the library has, `cpu` among them; their hardware may be missing. */
  readonly providers: readonly string[];
  open(model: Package, options: OpenOptions): Promise<Session>;
  /** Ends after the tasks that were given before. */
  stop(): Promise<void>;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** Starts the worker and waits until it has loaded ONNX Runtime. */
export async function startRuntime(): Promise<Runtime> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, Waiting>();
  let tasks = 0;
  let sessions = 0;
  const expect = (id: number): Promise<Reply> =>
    new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  let ended: string | undefined;
  const end = (reason: string) => {
    ended = reason;
    worker.terminate();
    for (const { reject } of waiting.values()) reject(new Error(reason));
    waiting.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    const { resolve, reject } = waiting.get(data.id) ?? {};
    waiting.delete(data.id);
    if (data.error === undefined) resolve?.(data);
    else reject?.(new Error(data.error));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    end(event.message);
  };
  const ask = (task: Task, transfer: readonly Transferable[]): Promise<Reply> => {
    if (ended !== undefined) return Promise.reject(new Error(ended));
    const request: Request = { id: tasks++, task };
    const reply = expect(request.id);
    worker.postMessage(request, [...transfer]);
    return reply;
  };
  let first: Reply;
  try {
    first = await expect(-1);
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return {
    version: first.version ?? "",
    providers: first.providers ?? [],
    async open(
      { model, folder, blobs, bytes = false },
      { threads, provider = "cpu", spins = true, thrifty = false },
    ) {
      const session = sessions++;
      const transfer = [model.buffer, ...blobs.map(({ data }) => data.buffer)];
      const { signature = { inputs: [], outputs: [] } } = await ask(
        { kind: "open", session, model, folder, blobs, bytes, threads, provider, spins, thrifty },
        transfer,
      );
      return {
        signature,
        async run(inputs) {
          const buffers = inputs.map(({ data }) => data.buffer);
          return (await ask({ kind: "run", session, inputs }, buffers)).outputs ?? [];
        },
        async hold(state) {
          await ask({ kind: "hold", session, state }, state.map(({ data }) => data.buffer));
        },
        async read() {
          return (await ask({ kind: "read", session }, [])).outputs ?? [];
        },
        async close() {
          await ask({ kind: "close", session }, []);
        },
      };
    },
    async stop() {
      if (ended !== undefined) return;
      await ask({ kind: "stop" }, []);
      end("ONNX Runtime was stopped");
    },
  };
}
