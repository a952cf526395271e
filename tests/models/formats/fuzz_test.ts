import { assert } from "@std/assert";
import { readWeights } from "../../../models/formats/open.ts";
import { encodeSafetensors } from "../../../models/safetensors.ts";
import { noiseStream } from "../../../noise/mod.ts";
import { folderOf } from "../../_parity.ts";
import { bytes, checkpoint, dictionary, int, pickle, text, view } from "./_torch.ts";

const COUNT = 10_000;
const LIMIT = 20; // seconds

/** Whole numbers below a limit, one sequence for a seed. */
function dice(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => { // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** A copy with one to four changes: bits, bytes, numbers of four bytes, cuts and repeats. */
function mutate(original: Uint8Array, roll: (limit: number) => number): Uint8Array {
  let file = original.slice();
  for (let change = roll(4); change >= 0; change--) {
    const at = roll(file.length || 1);
    const kind = roll(6);
    if (kind === 0) file[at] = (file[at] ?? 0) ^ 1 << roll(8);
    else if (kind === 1) file[at] = roll(256);
    else if (kind === 2) {
      file.set(
        [[0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 128]][roll(3)]!.slice(0, file.length - at),
        at,
      );
    } else if (kind === 3) file = file.slice(0, at);
    else if (kind === 4) file = bytes(file.subarray(0, at), file.subarray(at + 1 + roll(8)));
    else file = bytes(file.subarray(0, at), file.subarray(Math.max(0, at - roll(40))));
  }
  return file;
}

Deno.test("10,000 damaged checkpoints give their tensors, or an error in one sentence", () => {
  const values = noiseStream("philox", 1).normal(24);
  const tensors = { count: 24, shape: [4, 3], strides: [6, 2] };
  const object = dictionary(
    ...[text("epoch"), int(3), text("w"), view(tensors)],
    ...[text("v"), view({ ...tensors, offset: 1 })],
  );
  const seeds: [string, Uint8Array][] = [
    [
      "a.safetensors",
      encodeSafetensors(
        new Map([
          ["a", { shape: [2, 3], values: values.slice(0, 6) }],
          ["b", { shape: [18], values: values.slice(6) }],
        ]),
      ),
    ],
    ["b.safetensors", encodeSafetensors(new Map([["h", { shape: [24], values }]]), "F16")],
    ["c.pt", checkpoint(pickle(object), new Uint8Array(values.buffer))],
    ["c.bin", checkpoint(pickle(object), new Uint8Array(values.buffer), { descriptor: 96 })],
    ["d.pt", Deno.readFileSync(`${folderOf("torch-pt")}/legacy.pt`)],
    ["e.ckpt", Deno.readFileSync(`${folderOf("torch-pt")}/zip.pt`)],
  ];
  const folder = Deno.makeTempDirSync();
  const roll = dice(2026);
  const started = performance.now();
  let [refused, read] = [0, 0];
  for (let index = 0; index < COUNT; index++) {
    const [name, original] = seeds[index % seeds.length]!;
    // Damaged before its checksum is made, so that the damage reaches the reader of pickles.
    const file = name === "c.pt"
      ? checkpoint(mutate(pickle(object), roll), new Uint8Array(values.buffer))
      : mutate(original, roll);
    const path = `${folder}/${index}${name}`; // a new file is written faster than an old one
    Deno.writeFileSync(path, file);
    try {
      for (const { read } of readWeights(path).values()) read();
      read++;
    } catch (error) {
      const clean = error instanceof Error && error.message.startsWith(`Cannot read "${path}"`) &&
        !error.message.includes("\n");
      assert(clean, `file ${index} of ${name}: ${error instanceof Error ? error.stack : error}`);
      refused++;
    }
    const seconds = (performance.now() - started) / 1000;
    assert(seconds < LIMIT, `${index} files took ${seconds} s`);
  }
  assert(refused > COUNT / 2 && read > COUNT / 20, `${refused} were refused, ${read} read`);
  Deno.removeSync(folder, { recursive: true });
});
