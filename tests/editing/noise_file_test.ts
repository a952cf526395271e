import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { encodeNoise, readNoise } from "../../editing/noise_file.ts";
import { encodeSafetensors, readSafetensors } from "../../models/safetensors.ts";

Deno.test("a file of noise holds images as PyTorch lays them out, and gives them back", async () => {
  const path = join(await Deno.makeTempDir(), "n.safetensors");
  const shape = [2, 1, 2, 3] as const;
  const values = Float32Array.from({ length: 12 }, (_, i) => i);
  await Deno.writeFile(path, encodeNoise({ shape, values, texts: { denoise: "{}" } }));
  const stored = readSafetensors(path).tensors.get("noise");
  assertEquals([stored?.shape, [...stored?.read() ?? []]], [
    [2, 3, 1, 2],
    [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11],
  ]);
  const { texts: { denoise }, ...read } = readNoise(path);
  assertEquals([read.shape, read.values, denoise], [shape, values, "{}"]);
});

Deno.test("readNoise() refuses what is no noise", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "x.safetensors");
  const refused = (message: string) => assertThrows(() => readNoise(path), SyntaxError, message);
  refused("there is no such file");
  await Deno.writeTextFile(path, "no tensors");
  refused("it is no safetensors file");
  const tensor = { shape: [1, 1, 1, 1], values: Float32Array.of(NaN) };
  await Deno.writeFile(path, encodeSafetensors(new Map([["other", tensor]])));
  refused('it holds no tensor "noise"');
  await Deno.writeFile(path, encodeSafetensors(new Map([["noise", tensor]])));
  refused("not finite");
});
