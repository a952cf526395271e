import { assertEquals, assertThrows } from "@std/assert";
import { readWeights } from "../../../models/formats/open.ts";
import { encodeSafetensors } from "../../../models/safetensors.ts";

const tensor = (value: number) => ({ shape: [2], values: new Float32Array([value, value]) });
const files = {
  "m-1.safetensors": new Map([["a", tensor(1)], ["b", tensor(2)]]),
  "m-2.safetensors": new Map([["c", tensor(3)]]),
};
const map = { a: "m-1.safetensors", b: "m-1.safetensors", c: "m-2.safetensors" };

/** Calls a function with the index of a folder; `changes` are made to its files before. */
function withIndex(
  use: (path: string) => void,
  index: unknown = { metadata: { total_size: 24 }, weight_map: map },
  changes: (folder: string) => void = () => {},
): void {
  const folder = Deno.makeTempDirSync();
  try {
    for (const [name, tensors] of Object.entries(files)) {
      Deno.writeFileSync(`${folder}/${name}`, encodeSafetensors(tensors));
    }
    const path = `${folder}/m.safetensors.index.json`;
    Deno.writeTextFileSync(path, JSON.stringify(index));
    changes(folder);
    use(path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("readWeights() opens all files of an index", () =>
  withIndex((path) => {
    const tensors = readWeights(path);
    assertEquals([...tensors].map(([name, { read }]) => [name, read()[1]]), [
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
  }));

Deno.test("readWeights() refuses an index that does not fit its files", () => {
  const refuses = (index: unknown, reason: string, changes?: (folder: string) => void) =>
    withIndex((path) => assertThrows(() => readWeights(path), Error, reason), index, changes);
  const of = (changes: Record<string, unknown>) => ({ weight_map: { ...map, ...changes } });
  for (const file of ["../m-1.safetensors", "/etc/passwd", "a/b", "a\\b", "..", "", 3, null]) {
    refuses(of({ a: file }), "which is no file name beside the index");
  }
  refuses({}, "weight_map must be an object");
  refuses({ weight_map: ["m-1.safetensors"] }, "weight_map must be an object");
  refuses(of({ d: "m-3.safetensors" }), 'its file "m-3.safetensors" is missing');
  refuses(of({ d: "m-2.safetensors" }), 'tensor "d" is not in "m-2.safetensors"');
  refuses(of({ c: "m-1.safetensors" }), 'tensor "c" is not in "m-1.safetensors"');
  refuses(of({ b: "m-2.safetensors" }), 'has it in "m-2.safetensors"');
  refuses(of({ b: undefined }), 'the index has it in "no file"');
  refuses({ weight_map: map, metadata: { total_size: 25 } }, "its files have 24 bytes");
  refuses(of({}), 'tensor "a" is in', (folder) =>
    Deno.writeFileSync(
      `${folder}/m-2.safetensors`,
      encodeSafetensors(new Map([["c", tensor(3)], ["a", tensor(4)]])),
    ));
  refuses({ weight_map: { a: "m.safetensors.index.json" } }, "as a checkpoint of torch"); // itself
});
