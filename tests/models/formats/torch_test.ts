import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { readWeights } from "../../../models/formats/open.ts";
import { readTorch } from "../../../models/formats/torch.ts";
import { readSafetensors } from "../../../models/safetensors.ts";
import { folderOf } from "../../_parity.ts";
import {
  bytes,
  checkpoint,
  dictionary,
  type Entry,
  inFile,
  int,
  little,
  named,
  pickle,
  storage,
  text,
  tuple,
  view,
  zip,
} from "./_torch.ts";

const folder = folderOf("torch-pt");

for (const name of ["zip.pt", "legacy.pt", "flat.pt"]) {
  Deno.test(`readTorch() reads every type and view of ${name}`, () => {
    const expected = readSafetensors(`${folder}/expected.safetensors`).tensors;
    const tensors = readTorch(`${folder}/${name}`);
    assertEquals(new Set(tensors.keys()), new Set(expected.keys()));
    for (const [name, { shape, dtype, read }] of expected) {
      const found = tensors.get(name)!;
      assertEquals([found.name, found.dtype, found.shape], [name, dtype, shape]);
      assertEquals(found.read(), read(), name);
    }
  });
}

Deno.test("readTorch() points at dense tensors in the file, and at no others", () => {
  const tensors = readTorch(`${folder}/flat.pt`);
  const { file, read } = tensors.get("shared_row_slice")!;
  const slice = Deno.readFileSync(file!.path).slice(file!.offset, file!.offset + file!.length);
  assertEquals(new Float32Array(slice.buffer), read());
  assertEquals(tensors.get("shared_transposed")!.file, undefined);
});

/** A checkpoint of one tensor `w`. */
function tensor(view: Uint8Array, lies: Partial<Entry> = {}): Uint8Array {
  const data = new Uint8Array(Float32Array.from({ length: 6 }, (_, index) => index).buffer);
  return checkpoint(pickle(dictionary(text("w"), view)), data, lies);
}

const whole = view({ count: 6, shape: [2, 3], strides: [3, 1] });

function refuses(file: Uint8Array, reason: string): void {
  inFile(file, (path) => {
    const error = assertThrows(() => readTorch(path), Error, reason);
    assertStringIncludes(error.message, `Cannot read "${path}" as a checkpoint of torch: `);
    assert(!error.message.includes("\n"), error.message);
  });
}

Deno.test("readTorch() reads what the tests make", () => {
  const read = (file: Uint8Array) => inFile(file, (path) => [...readTorch(path).get("w")!.read()]);
  assertEquals(read(tensor(whole)), [0, 1, 2, 3, 4, 5]);
  assertEquals(read(tensor(whole, { descriptor: 24 })), [0, 1, 2, 3, 4, 5]);
  const turned = view({ count: 6, offset: 1, shape: [2, 2], strides: [1, 3] });
  assertEquals(read(tensor(turned)), [1, 4, 2, 5]);
});

Deno.test("readTorch() refuses what would run code, by name", () => {
  const call = (module: string, name: string) =>
    pickle(named(module, name), tuple(text("echo owned")), bytes("R"));
  const cases: [Uint8Array, string][] = [
    [call("os", "system"), "asks for os.system, which is refused"],
    [call("posix", "system"), "posix.system"],
    [call("builtins", "eval"), "builtins.eval"],
    [call("__builtin__", "getattr"), "__builtin__.getattr"],
    [call("torch", "load"), "torch.load"],
    [call("torch.hub", "load"), "torch.hub.load"],
    [call("constructor", "prototype"), "constructor.prototype"],
    [pickle(text("os"), text("system"), bytes(0x93)), "os.system"],
    [pickle(bytes("(S'id'\nios\nsystem\n")), "asks for os.system"],
    [pickle(named("collections", "OrderedDict"), bytes(")", 0x81)), "collections.OrderedDict"],
    [pickle(named("torch", "FloatStorage"), bytes(")R")), "a call of torch.FloatStorage"],
    [pickle(text("x"), bytes("}b")), "the state of an object"],
    [pickle(bytes(0x82, 1)), "its byte 2 is 130, which is no operation"],
  ];
  for (const [pickle, reason] of cases) refuses(checkpoint(pickle, new Uint8Array(0)), reason);
});

Deno.test("readTorch() refuses pickle bombs while they are small", () => {
  const doubled = [bytes("](K", 1, "eq", 0)]; // ten times itself, again and again
  for (let i = 0; i < 40; i++) {
    doubled.push(bytes("](", ...Array(10).fill(bytes("h", i)), `eq${String.fromCharCode(i + 1)}`));
  }
  const copies = bytes( // a long list that is made a dictionary many times
    "](",
    ...Array(3000).fill(bytes("NN", 0x86)),
    "eq",
    0,
    ...Array(4000).fill(bytes(named("collections", "OrderedDict"), "h", 0, 0x85, "R0")),
  );
  const cases: [Uint8Array, string][] = [
    [pickle(...doubled), "leaves values behind"],
    [pickle(copies), "takes more than"],
    [pickle(bytes("N".repeat(1_000_001))), "nests too many values"],
    [pickle(bytes("(".repeat(10_001))), "nests lists too deeply"],
    [pickle(bytes(0x8b, little(0x7fffffff, 4))), "bytes early"],
    [pickle(bytes(0x8d, little(2 ** 40, 8))), "bytes early"],
    [pickle(bytes(0x8b, little(1000, 4), "1".repeat(1000))), "one of its numbers is too long"],
    [pickle(bytes("I", "1".repeat(5000), "\n")), "one of its lines has no end"],
  ];
  for (const [pickle, reason] of cases) refuses(checkpoint(pickle, new Uint8Array(0)), reason);
});

Deno.test("readTorch() refuses a tensor that is not inside its storage", () => {
  const cases: [Partial<Parameters<typeof view>[0]>, string][] = [
    [{ shape: [3, 3], strides: [3, 1] }, "lies outside its storage: shape [3, 3]"],
    [{ offset: 1 }, "from element 1 of 6"],
    [{ strides: [4, 1] }, "lies outside"],
    [{ shape: [2, 3, 1000], strides: [0, 0, 0] }, "lies outside"], // six thousand of one
    [{ shape: [2, -3] }, "has no shape"],
    [{ strides: [3, -1] }, "has no shape"],
    [{ strides: [3] }, "has no shape"],
    [{ offset: -1 }, "has no shape"],
    [{ shape: Array(17).fill(1), strides: Array(17).fill(1) }, "has no shape"],
  ];
  for (const [lie, reason] of cases) {
    refuses(tensor(view({ count: 6, shape: [2, 3], strides: [3, 1], ...lie })), reason);
  }
  refuses(tensor(view({ count: 7, shape: [2, 3], strides: [3, 1] })), "needs 28 bytes");
  const noStorage = bytes(named("torch._utils", "_rebuild_tensor_v2"), "(t", "R");
  refuses(tensor(noStorage), "one of its tensors has no storage");
});

Deno.test("readTorch() refuses storages that contradict each other or are none", () => {
  const both = (second: Uint8Array) =>
    checkpoint(pickle(tuple(storage(6), second)), new Uint8Array(24));
  refuses(both(storage(5)), 'storage "0" has two types or sizes');
  refuses(both(storage(6, "IntStorage")), 'storage "0" has two types or sizes');
  refuses(both(bytes(text("0"), "Q")), "refers to something that is no storage");
  refuses(checkpoint(pickle(storage(6)), new Uint8Array(24)), "no dictionary of tensors");
  refuses(
    zip([{ name: "archive/data.pkl", data: pickle(storage(6)) }]),
    'storage "0" is missing',
  );
});

Deno.test("readTorch() refuses an archive whose lengths are wrong", () => {
  const cases: [Partial<Entry>, string][] = [
    [{ length: 28 }, "lies outside the archive"],
    [{ length: 20 }, "needs 24 bytes, its entry has 20"],
    [{ length: 2 ** 31 }, "lies outside the archive"],
    [{ packed: 12 }, "claims 12 bytes for 24"],
    [{ method: 8, packed: 24 }, "is compressed"], // what a zip bomb would have to be
    [{ method: 8, packed: 24, length: 2 ** 31 }, "is compressed"],
    [{ local: 20 }, "has 20 bytes where it lies, 24 in the list"],
    [{ descriptor: 20 }, "has other sizes behind its data"],
    [{ flags: 1 }, "is encrypted"],
    [{ header: 0 }, "overlaps the one before"],
    [{ header: 5 }, "overlaps the one before"],
    [{ header: 100_000 }, "lies outside the archive"],
    [{ name: "archive/data.pkl" }, "is there twice"],
  ];
  for (const [lie, reason] of cases) refuses(tensor(whole, lie), reason);
  const file = tensor(whole);
  for (const length of [4, 30, file.length - 23, file.length - 1]) {
    refuses(file.slice(0, length), "it has no end; it is not whole");
  }
  const damaged = file.slice();
  damaged[60] = 0xff; // in the pickle
  refuses(damaged, 'entry "archive/data.pkl" has a wrong checksum');
  const order = { name: "archive/byteorder", data: bytes("big") };
  refuses(
    zip([{ name: "archive/data.pkl", data: pickle(bytes("N")) }, order]),
    "its numbers are not little-endian",
  );
  refuses(zip([{ name: "other", data: bytes("") }]), "it has 0 entries data.pkl");
});

Deno.test("readTorch() leaves what trainers keep beside the weights alone", () => {
  const data = new Uint8Array(24);
  const number = bytes(
    named("numpy.core.multiarray", "scalar"),
    tuple(bytes(named("numpy", "dtype"), tuple(text("f8"), int(0), int(1)), "R"), text("12345678")),
    "R",
  );
  const callback = named("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint");
  const object = dictionary(
    ...[text("epoch"), int(3), text("best"), number],
    ...[text("callbacks"), dictionary(callback, dictionary(text("score"), number))],
    ...[text("state_dict"), dictionary(text("w"), whole, text("step"), int(1))],
  );
  inFile(checkpoint(pickle(object), data), (path) => {
    assertEquals([...readTorch(path).keys()], ["w"]);
  });
});

Deno.test("readTorch() refuses a stream that is cut short or too long anywhere", () => {
  const stream = Deno.readFileSync(`${folder}/legacy.pt`);
  for (let length = 2; length < stream.length; length += 13) {
    inFile(stream.slice(0, length), (path) => assertThrows(() => readTorch(path), Error));
  }
  refuses(bytes(stream, "x"), "its storages end at byte");
  const older = stream.slice();
  older[18] = 1; // of its version
  refuses(older, "its version is not known");
});

Deno.test("readWeights() knows a format by its first bytes", () => {
  const flat = Deno.readFileSync(`${folder}/flat.pt`);
  const safe = Deno.readFileSync(`${folder}/expected.safetensors`);
  const names = (file: Uint8Array, name: string) =>
    inFile(file, (path) => [...readWeights(path).keys()].sort(), name);
  assertEquals(names(flat, "model.bin"), names(safe, "model.ckpt"));
  assertThrows(() => names(bytes("nonsense"), "model.pt"), Error, "as a checkpoint of torch");
  assertThrows(() => names(bytes(""), "model.ckpt"), Error, "as a checkpoint of torch");
  assertThrows(() => names(flat, "model.safetensors"), Error, "as safetensors");
  assertThrows(() => readWeights("no/such.pt"), Deno.errors.NotFound);
  assertThrows(() => readWeights(folder), Error, "it is no file");
});
