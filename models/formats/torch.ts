/**
 * Checkpoints of `torch.save` (`.pt`, `.bin`, `.ckpt`): a pickle that describes tensors, and their
 * storages, which stay in the file until they are read. Both forms are known, the zip archive and
 * the stream of PyTorch before 1.6.
 *
 * @module
 */
import type { StoredTensor, Weights } from "../weights.ts";
import { cursorInFile, cursorOver } from "./cursor.ts";
import { countOf, ELEMENT_BYTES, quote, readRange, tensorInFile, toFloat32 } from "./elements.ts";
import { type Allowed, Global, unpickle } from "./pickle.ts";
import { readEntry, readZip } from "./zip.ts";

const LONGEST_PICKLE = 100_000_000; // bytes
const MAGIC = 0x1950a86a20f9469cfc6cn; // begins a stream
const STREAM_VERSION = 1001;
const HIGHEST_RANK = 16;

/** A storage: elements of one type that tensors are views of. */
interface Storage {
  readonly key: string;
  readonly dtype: string;
  readonly count: number;
}

/** A view of a storage. */
class View {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** What stands for an object that says nothing of weights; nothing is made of it. */
class Opaque {
  constructor(readonly name: string) {}
}

/** Storage classes of torch by their element types here. */
const STORAGES: Readonly<Record<string, string>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
};

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(isCount);

/** A tensor of a storage; one that reaches beyond it is refused. */
function rebuildTensor([storage, offset, shape, strides]: readonly unknown[]): View {
  const fail = (reason: string) => new SyntaxError(`one of its tensors ${reason}`);
  if (!isStorage(storage)) throw fail("has no storage");
  const whole = isCount(offset) && isCounts(shape) && isCounts(strides);
  if (!whole || shape.length !== strides.length || shape.length > HIGHEST_RANK) {
    throw fail("has no shape");
  }
  const count = countOf(shape);
  const steps = shape.map((size, axis) => (size - 1) * (strides[axis] ?? 0));
  const last = offset + steps.reduce((sum, step) => sum + step, 0);
  // Views that repeat elements would make much of little.
  if (count > storage.count || count > 0 && last >= storage.count) {
    throw fail(
      `lies outside its storage: shape [${
        shape.join(", ")
      }] from element ${offset} of ${storage.count}`,
    );
  }
  return new View(storage, offset, shape, strides);
}

const isStorage = (value: unknown): value is Storage =>
  typeof value === "object" && value !== null && "dtype" in value && "count" in value;

/** Functions by the names that pickles have for them. */
const FUNCTIONS: Readonly<Record<string, NonNullable<Global["call"]>>> = {
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": ([data]) => data,
  "collections.OrderedDict": ([items = []], charge) => dictionaryOf(items, charge),
  "torch.Size": ([sizes]) => sizes,
  "builtins.set": ([items]) => items,
  "__builtin__.set": ([items]) => items,
};

/**
 * Names that checkpoints of trainers hold beside their weights: numbers of numpy, devices, and the
 * class that a callback's state is kept under. They stay names, and a call of one gives its name.
 */
const OPAQUE = [
  "_codecs.encode",
  "numpy.core.multiarray.scalar",
  "numpy._core.multiarray.scalar",
  "numpy.dtype",
  "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
  "torch.device",
];

const DTYPES = /^torch\.(float|double|half|bfloat|u?int|short|long|bool)(8|16|32|64)?$/;

function dictionaryOf(items: unknown, charge: (count: number) => void): Map<unknown, unknown> {
  const isPair = (item: unknown): item is [unknown, unknown] =>
    Array.isArray(item) && item.length === 2;
  if (!Array.isArray(items)) throw new SyntaxError("it makes a dictionary of what is no list");
  charge(items.length);
  if (!items.every(isPair)) throw new SyntaxError("it makes a dictionary of what are no pairs");
  return new Map(items);
}

/** What the class, function or type of a name becomes; undefined where it is refused. */
function findGlobal(name: string): Global | undefined {
  if (Object.hasOwn(FUNCTIONS, name)) return new Global(name, FUNCTIONS[name]);
  if (OPAQUE.includes(name)) return new Global(name, () => new Opaque(name));
  return Object.hasOwn(STORAGES, name) || DTYPES.test(name) ? new Global(name) : undefined;
}

/** What a pickle of torch may ask for; `place` is told of each storage once. */
function allowing(place: (storage: Storage) => void): Allowed {
  const storages = new Map<string, Storage>();
  return {
    find: findGlobal,
    isStateless: (value) => value instanceof Map || value instanceof Opaque,
    load(id) {
      const [word, type, key, , count, view] = Array.isArray(id) ? id : [];
      const dtype = type instanceof Global ? STORAGES[type.name] : undefined;
      if (word !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count)) {
        throw new SyntaxError("it refers to something that is no storage");
      }
      if ((view ?? null) !== null) throw new SyntaxError("a storage is a view of another one");
      const known = storages.get(key);
      if (known?.dtype === dtype && known.count === count) return known;
      if (known !== undefined) {
        throw new SyntaxError(`storage ${quote(key)} has two types or sizes`);
      }
      const storage = { key, dtype, count };
      place(storage);
      storages.set(key, storage);
      return storage;
    },
  };
}

const bytesOf = ({ dtype, count }: Storage) => count * (ELEMENT_BYTES[dtype] ?? 0);

/** The object of a file, and where its storages begin. */
interface Loaded {
  readonly value: unknown;
  readonly offsets: ReadonlyMap<string, number>;
}

function loadZip(path: string): Loaded {
  const entries = readZip(path);
  const names = [...entries.keys()].filter((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new SyntaxError(`it has ${names.length} entries data.pkl, there must be one`);
  }
  const root = name.slice(0, -"data.pkl".length);
  const entry = (name: string) => entries.get(root + name);
  const read = (name: string, most: number) => {
    const found = entry(name);
    return found && readEntry(path, root + name, found, most);
  };
  const order = read("byteorder", 16);
  if (order !== undefined && new TextDecoder().decode(order) !== "little") {
    throw new SyntaxError("its numbers are not little-endian");
  }
  const offsets = new Map<string, number>();
  const allowed = allowing((storage) => {
    const found = entry(`data/${storage.key}`);
    if (found === undefined) throw new SyntaxError(`storage ${quote(storage.key)} is missing`);
    if (found.length !== bytesOf(storage)) {
      throw new SyntaxError(
        `storage ${quote(storage.key)} of ${storage.count} ${storage.dtype} needs ${
          bytesOf(storage)
        } bytes, its entry has ${found.length}`,
      );
    }
    offsets.set(storage.key, found.offset);
  });
  const pickle = read("data.pkl", LONGEST_PICKLE) ?? new Uint8Array();
  return { value: unpickle(cursorOver(pickle), allowed), offsets };
}

/** A stream: three pickles about itself, the object, the keys of its storages, and these. */
function loadStream(path: string): Loaded {
  const cursor = cursorInFile(path);
  const storages = new Map<string, Storage>();
  const allowed = allowing((storage) => storages.set(storage.key, storage));
  const next = () => unpickle(cursor, allowed);
  if (next() !== MAGIC) throw new SyntaxError("it is a pickle, but none of torch.save");
  if (next() !== STREAM_VERSION) throw new SyntaxError("its version is not known");
  const system = next();
  if (!(system instanceof Map) || system.get("little_endian") !== true) {
    throw new SyntaxError("its numbers are not little-endian");
  }
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw new SyntaxError("its storages have no list");
  const offsets = new Map<string, number>();
  let at = cursor.position;
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined || offsets.has(key)) {
      throw new SyntaxError("its list of storages does not fit its tensors");
    }
    const count = new DataView(readRange(path, at, 8).buffer).getBigUint64(0, true);
    if (count !== BigInt(storage.count)) {
      throw new SyntaxError(`storage ${quote(key)} has ${count} elements, not ${storage.count}`);
    }
    offsets.set(key, at + 8);
    at += 8 + bytesOf(storage);
  }
  const { size } = Deno.statSync(path);
  if (at !== size) throw new SyntaxError(`its storages end at byte ${at}, the file at ${size}`);
  if (offsets.size !== storages.size) throw new SyntaxError("one of its storages is missing");
  return { value, offsets };
}

/** A view as a tensor: a range of the file where its elements lie one after another. */
function tensorOf(name: string, view: View, path: string, start: number): StoredTensor {
  const { storage: { dtype }, offset, shape, strides } = view;
  const size = ELEMENT_BYTES[dtype] ?? 0;
  const whole = tensorInFile({ name, shape, dtype }, path, start + offset * size);
  const rest = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
  const isDense = countOf(shape) === 0 ||
    shape.every((size, axis) => size === 1 || strides[axis] === rest[axis]);
  if (isDense) return whole;
  const read = () => {
    const last = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 0);
    const values = toFloat32(
      readRange(path, start + offset * size, (last + 1) * size),
      dtype,
    );
    return Float32Array.from({ length: countOf(shape) }, (_, index) => {
      let at = 0;
      for (const [axis, step] of rest.entries()) {
        at += Math.floor(index / step) % (shape[axis] ?? 1) * (strides[axis] ?? 0);
      }
      return values[at] ?? 0;
    });
  };
  return { name, shape, dtype, read };
}

/** The dictionary of tensors: the whole object, or what trainers keep below one of these keys. */
function stateDict(value: unknown): Map<unknown, unknown> {
  const isFull = (value: unknown): value is Map<unknown, unknown> =>
    value instanceof Map && [...value.values()].some((item) => item instanceof View);
  const nested = value instanceof Map ? ["state_dict", "model"].map((key) => value.get(key)) : [];
  const found = [...nested, value].find(isFull);
  if (found !== undefined) return found;
  throw new SyntaxError("it holds no dictionary of tensors");
}

/**
 * Opens a checkpoint of `torch.save`. Only its pickle is read, and nothing in it can make code run.
 *
 * @throws {Error} Where it is damaged, or asks for what is not allowed.
 */
export function readTorch(path: string): Weights {
  try {
    const [first, second] = readRange(path, 0, Math.min(2, Deno.statSync(path).size));
    const { value, offsets } = first === 0x50 && second === 0x4b ? loadZip(path) : loadStream(path);
    const tensors = new Map<string, StoredTensor>();
    for (const [name, view] of stateDict(value)) {
      if (typeof name !== "string" || !(view instanceof View)) continue;
      tensors.set(name, tensorOf(name, view, path, offsets.get(view.storage.key) ?? 0));
    }
    return tensors;
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    const reason = cause instanceof SyntaxError ? cause.message : "one of its texts is damaged";
    throw new Error(`Cannot read "${path}" as a checkpoint of torch: ${reason}`, { cause });
  }
}
