import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { encodeSafetensors, readSafetensors } from "../../models/safetensors.ts";

/** A file with this header (a text, or an object as JSON) before its data. */
function fileOf(header: unknown, data = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

function inFile<T>(bytes: Uint8Array<ArrayBuffer>, use: (path: string) => T): T {
  const folder = Deno.makeTempDirSync();
  try {
    const path = join(folder, "model.safetensors");
    Deno.writeFileSync(path, bytes);
    return use(path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The only tensor of a file, as float32. */
function readOne(dtype: string, data: ArrayBufferView<ArrayBuffer>, count: number): Float32Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const header = { x: { dtype, shape: [count], data_offsets: [0, bytes.length] } };
  return inFile(fileOf(header, bytes), (path) => readSafetensors(path).tensors.get("x")!.read());
}

const entry = (dtype: string, shape: unknown, offsets: unknown) => ({
  dtype,
  shape,
  data_offsets: offsets,
});

Deno.test("readSafetensors() refuses what is no safetensors file, in one sentence", () => {
  const data = new Uint8Array(16);
  const F32 = (start: number, end: number) => entry("F32", [(end - start) / 4], [start, end]);
  const huge = fileOf("{}");
  new DataView(huge.buffer).setBigUint64(0, 10_000_000_000n, true);
  const cases: [Uint8Array<ArrayBuffer>, string][] = [
    [new Uint8Array(0), "it has 0 bytes"],
    [new Uint8Array(7), "it has 7 bytes"],
    [huge, "its header claims 10000000000 bytes, the file has 2"],
    [new Uint8Array(8).fill(255), "its header claims 18446744073709551615 bytes"],
    [fileOf(""), "its header is not JSON"],
    [fileOf("{"), "its header is not JSON"],
    [fileOf("\xff\0"), "its header is not JSON"],
    [fileOf("[]"), "its header is not an object"],
    [fileOf("null"), "its header is not an object"],
    [fileOf({ x: 1 }), 'tensor "x": its entry is not an object'],
    [fileOf({ x: entry("F31", [4], [0, 16]) }, data), 'its dtype "F31" is not known'],
    [fileOf({ x: entry("constructor", [4], [0, 16]) }, data), 'dtype "constructor" is not known'],
    [fileOf({ x: { shape: [4], data_offsets: [0, 16] } }, data), "its dtype undefined"],
    [fileOf({ x: entry("F32", 4, [0, 16]) }, data), "its shape is not a list of sizes"],
    [fileOf({ x: entry("F32", [-4], [0, 16]) }, data), "its shape is not a list of sizes"],
    [fileOf({ x: entry("F32", [4.5], [0, 18]) }, data), "its shape is not a list of sizes"],
    [fileOf({ x: entry("F32", ["4"], [0, 16]) }, data), "its shape is not a list of sizes"],
    [fileOf({ x: entry("F32", [4], [16]) }, data), "its data_offsets are not two numbers"],
    [fileOf({ x: entry("F32", [4], [0, "16"]) }, data), "its data_offsets are not two numbers"],
    [fileOf({ x: entry("F32", [4], [-16, 0]) }, data), "its data_offsets are not two numbers"],
    [fileOf({ x: F32(0, 20) }, data), "its data (bytes 0 to 20) lies outside the 16 bytes"],
    [fileOf({ x: entry("F32", [4], [16, 0]) }, data), "its data (bytes 16 to 0) lies outside"],
    [fileOf({ x: entry("F32", [3], [0, 16]) }, data), "shape [3] of F32 needs 12 bytes"],
    [fileOf({ x: entry("F16", [4], [0, 16]) }, data), "shape [4] of F16 needs 8 bytes"],
    [fileOf({ x: entry("F32", [2 ** 52, 2 ** 52, 4], [0, 16]) }, data), "its entry has 16"],
    [fileOf({ x: F32(0, 12), y: F32(8, 16) }, data), 'tensor "y": its data overlaps'],
    [fileOf({ x: F32(0, 16), y: F32(0, 16) }, data), "its data overlaps"],
    [fileOf({ x: F32(0, 4), y: F32(8, 16) }, data), "bytes 4 to 8 belong to no tensor"],
    [fileOf({ x: F32(0, 8) }, data), "8 bytes after the last tensor belong to none"],
  ];
  for (const [bytes, reason] of cases) {
    inFile(bytes, (path) => {
      const error = assertThrows(() => readSafetensors(path), Error, reason);
      assertStringIncludes(error.message, `Cannot read "${path}" as safetensors: `);
      assert(!error.message.includes("\n"), error.message);
    });
  }
});

Deno.test("readSafetensors() refuses a file that is cut short anywhere", () => {
  const whole = encodeSafetensors(
    new Map([
      ["a", { shape: [2, 3], values: new Float32Array(6) }],
      ["b", { shape: [5], values: new Float32Array(5) }],
    ]),
  );
  for (let length = 0; length < whole.length; length += length < 16 ? 1 : 7) {
    inFile(whole.slice(0, length), (path) => assertThrows(() => readSafetensors(path), Error));
  }
  inFile(whole.slice(0, -1), (path) => assertThrows(() => readSafetensors(path), Error, "outside"));
});

Deno.test("readSafetensors() names a file that is not there", () => {
  assertThrows(() => readSafetensors("no/such.safetensors"), Deno.errors.NotFound, "no/such");
});

Deno.test("readSafetensors() reports a file that shrinks before its tensors are read", () => {
  const bytes = encodeSafetensors(new Map([["x", { shape: [4], values: new Float32Array(4) }]]));
  inFile(bytes, (path) => {
    const { tensors } = readSafetensors(path);
    Deno.truncateSync(path, bytes.length - 6);
    assertThrows(() => tensors.get("x")!.read(), Error, "the file ends 6 bytes early");
  });
});

Deno.test("readSafetensors() reads every half exactly", () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const values = readOne("F16", halves, halves.length);
  // The platform's own conversion of the same bits.
  const view = new DataView(halves.buffer);
  for (let bits = 0; bits < halves.length; bits++) {
    assert(Object.is(values[bits], view.getFloat16(2 * bits, true)), `bits ${bits}`);
  }
  assertEquals(values[1], 2 ** -24); // the smallest subnormal
  assertEquals(values[0x3ff], 1023 * 2 ** -24); // the largest
  assertEquals([...values.subarray(0x7c00, 0x7c02)], [Infinity, NaN]);
  assert(Object.is(values[0x8000], -0));
});

Deno.test("readSafetensors() reads bfloat16, float64 and integers", () => {
  const bits = new Uint16Array([0x3f80, 0xc049, 0x0001, 0x7f80, 0xff80, 0x7fc0, 0x8000]);
  assertEquals(
    [...readOne("BF16", bits, bits.length)],
    [1, -3.140625, 2 ** -133, Infinity, -Infinity, NaN, -0],
  );
  const doubles = new Float64Array([0.1, -1e-310, 1e300, NaN, -Infinity]);
  assertEquals([...readOne("F64", doubles, 5)], [Math.fround(0.1), -0, Infinity, NaN, -Infinity]);
  const singles = new Float32Array([0.1, 1e-45, -Infinity]);
  assertEquals(readOne("F32", singles, 3), singles);
  assertEquals([...readOne("I64", new BigInt64Array([-7n, 1n << 40n]), 2)], [-7, 2 ** 40]);
  assertEquals([...readOne("I32", new Int32Array([-7, 3]), 2)], [-7, 3]);
  assertEquals([...readOne("I16", new Int16Array([-7, 3]), 2)], [-7, 3]);
  assertEquals([...readOne("I8", new Int8Array([-7, 3]), 2)], [-7, 3]);
  assertEquals([...readOne("U8", new Uint8Array([200, 3]), 2)], [200, 3]);
  assertEquals([...readOne("BOOL", new Uint8Array([1, 0]), 2)], [1, 0]);
});

Deno.test("encodeSafetensors() writes what readSafetensors() reads", () => {
  const tensors = new Map([
    ["a.weight", { shape: [2, 3], values: new Float32Array([1, -2, 3.5, 1e-40, -0, 65504]) }],
    ["empty", { shape: [0, 4], values: new Float32Array(0) }],
    ["scalar", { shape: [], values: new Float32Array([0.1]) }],
    ["ünï", { shape: [1], values: new Float32Array([7]) }],
  ]);
  const bytes = encodeSafetensors(tensors, "F32", { step: "12", note: 'a "quoted" text' });
  assertEquals(new DataView(bytes.buffer).getUint32(0, true) % 8, 0, "data is aligned");
  inFile(bytes, (path) => {
    const read = readSafetensors(path);
    assertEquals(read.metadata, { format: "pt", step: "12", note: 'a "quoted" text' });
    assertEquals([...read.tensors.keys()], [...tensors.keys()]);
    for (const [name, { shape, values }] of tensors) {
      const stored = read.tensors.get(name)!;
      assertEquals([stored.name, stored.dtype, [...stored.shape]], [name, "F32", shape]);
      assertEquals(stored.read(), values);
    }
    const { file } = read.tensors.get("scalar")!;
    const slice = bytes.slice(file!.offset, file!.offset + file!.length);
    assertEquals(new Float32Array(slice.buffer), new Float32Array([0.1]));
  });
});

Deno.test("encodeSafetensors() rounds halves to the nearest, ties to even", () => {
  const ulp = 2 ** -10;
  const cases: [number, number][] = [
    [1 + ulp / 2, 1], // a tie, down to even
    [1 + 1.5 * ulp, 1 + 2 * ulp], // a tie, up to even
    [1 + 0.51 * ulp, 1 + ulp],
    [2 - ulp / 4, 2], // carries into the exponent
    [65519, 65504],
    [65520, Infinity], // the tie beyond the largest
    [-1e9, -Infinity],
    [2 ** -25, 0], // a tie between zero and the smallest
    [1.5 * 2 ** -24, 2 * 2 ** -24],
    [2 ** -24, 2 ** -24],
    [-(2 ** -14) + 2 ** -26, -(2 ** -14)], // the largest subnormal carries
    [0, 0],
    [-0, -0],
    [Infinity, Infinity],
    [NaN, NaN],
  ];
  // And numbers of all sizes, against the platform's own rounding.
  for (let i = 0; i < 4000; i++) {
    const value = Math.fround(Math.sin(i * i) * 2 ** (i % 48 - 30));
    const view = new DataView(new ArrayBuffer(2));
    view.setFloat16(0, value);
    cases.push([value, view.getFloat16(0)]);
  }
  const values = Float32Array.from(cases, ([value]) => value);
  const bytes = encodeSafetensors(new Map([["x", { shape: [values.length], values }]]), "F16");
  inFile(bytes, (path) => {
    const stored = readSafetensors(path).tensors.get("x")!;
    assertEquals(stored.dtype, "F16");
    assertEquals([...stored.read()], cases.map(([, rounded]) => rounded));
  });
});
